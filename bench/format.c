#include "bench/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "config/limits.h"
#include "wire/frame.h"

#define UNIT_MAX ((size_t)2 << 30)
#define TEXT_MAX 64

bool format_find(const char *name, enum format *out) {
    static const char *const names[] = {"frames", "lines", "influx", "tsv", "prom"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum format)i;
            return true;
        }
    }
    return false;
}

static struct unit *new_unit(struct units *u) {
    struct unit *grown = realloc(u->list, (u->n + 1) * sizeof *grown);
    CHECK(grown != NULL);
    u->list = grown;
    u->list[u->n] = (struct unit){.last_step = -1};
    buf_init(&u->list[u->n].bytes, UNIT_MAX);
    return &u->list[u->n++];
}

static void put_number(struct buf *out, double x, int digits) {
    char text[TEXT_MAX];
    if (digits < 17) {
        int n = snprintf(text, sizeof text, "%.*g", digits, x);
        buf_put(out, text, (size_t)n);
    } else {
        buf_put(out, text, num_format(text, x));
    }
}

// -- Pyrometer -----------------------------------------------------------------------------------

static void put_line(struct buf *out, const struct step *s, int digits) {
    buf_printf(out,
               "{\"type\":\"step\",\"step\":%lld,\"time\":%.3f,\"loss\":%.9g,\"lr\":%.9g,"
               "\"batch_size\":64,\"stats\":{",
               (long long)s->step, s->time, s->loss, s->lr);
    for (size_t i = 0; i < s->n_columns; i++) {
        buf_printf(out, "%s\"%s\":[", i ? "," : "", s->columns[i].name);
        for (size_t l = 0; l < s->n_layers; l++) {
            buf_puts(out, l ? "," : "");
            put_number(out, s->columns[i].values[l], digits);
        }
        buf_putc(out, ']');
    }
    buf_puts(out, "}}\n");
}

static void build_job(struct units *u, const struct workload *load, const struct format_options *o,
                      size_t run) {
    struct unit *unit = new_unit(u);
    struct walk w;
    walk_init(&w, load, run);
    char name[LIMIT_RUN_NAME + 1];
    snprintf(name, sizeof name, "%s%zu", o->prefix, run);
    workload_put_hello(&unit->bytes, load, name, NULL);
    for (size_t i = 0; i < load->steps; i++) {
        walk_next(&w);
        if (o->format == FORMAT_FRAMES) {
            frame_print(&w.step, &unit->bytes);
        } else {
            put_line(&unit->bytes, &w.step, o->digits);
        }
    }
    unit->last_step = (int64_t)load->steps - 1;
    unit->samples = load->steps * load->layers * load->stats;
    walk_free(&w);
}

// -- peers: one step of one run as a piece of a body ---------------------------------------------

static void put_influx(struct buf *out, const struct walk *w, const struct format_options *o) {
    const struct step *s = &w->step;
    for (size_t l = 0; l < s->n_layers; l++) {
        buf_printf(out, "m,run=%s%zu,layer=layer%zu ", o->prefix, w->run, l);
        for (size_t i = 0; i < s->n_columns; i++) {
            buf_printf(out, "%s%s=%.9g", i ? "," : "", s->columns[i].name, s->columns[i].values[l]);
        }
        buf_printf(out, " %lld000000000\n", (long long)s->time);
    }
}

static void put_tsv(struct buf *out, const struct walk *w, const struct format_options *o) {
    const struct step *s = &w->step;
    for (size_t l = 0; l < s->n_layers; l++) {
        buf_printf(out, "%s%zu\tlayer%zu\t%lld", o->prefix, w->run, l, (long long)s->step);
        for (size_t i = 0; i < s->n_columns; i++) {
            buf_printf(out, "\t%.9g", s->columns[i].values[l]);
        }
        buf_putc(out, '\n');
    }
}

static void put_varint(struct buf *out, uint64_t x) {
    for (; x >= 128; x >>= 7) {
        buf_putc(out, (char)(x | 128));
    }
    buf_putc(out, (char)x);
}

static void put_field(struct buf *out, unsigned field, const struct buf *content) {
    put_varint(out, field << 3 | 2);
    put_varint(out, content->len);
    buf_put(out, content->data, content->len);
}

static void put_label(struct buf *series, const char *name, const char *value) {
    struct buf label;
    buf_init(&label, 1024);
    put_varint(&label, 1 << 3 | 2);
    put_varint(&label, strlen(name));
    buf_puts(&label, name);
    put_varint(&label, 2 << 3 | 2);
    put_varint(&label, strlen(value));
    buf_puts(&label, value);
    put_field(series, 1, &label);
    buf_free(&label);
}

// A WriteRequest's time series with one sample each; labels in the order of their names.
static void put_prom(struct buf *out, const struct walk *w, const struct format_options *o) {
    const struct step *s = &w->step;
    struct buf series, sample;
    char layer[TEXT_MAX], run[TEXT_MAX * 2];
    buf_init(&series, 4096);
    buf_init(&sample, 64);
    snprintf(run, sizeof run, "%s%zu", o->prefix, w->run);
    for (size_t i = 0; i < s->n_columns * s->n_layers; i++) {
        const struct step_column *c = &s->columns[i / s->n_layers];
        snprintf(layer, sizeof layer, "layer%zu", i % s->n_layers);
        buf_clear(&series);
        buf_clear(&sample);
        put_label(&series, "__name__", "m");
        put_label(&series, "layer", layer);
        put_label(&series, "run", run);
        put_label(&series, "stat", c->name);
        buf_putc(&sample, 1 << 3 | 1);
        buf_put(&sample, &c->values[i % s->n_layers], sizeof(double));
        buf_putc(&sample, 2 << 3);
        put_varint(&sample, (uint64_t)s->time * 1000);
        put_field(&series, 2, &sample);
        put_field(out, 1, &series);
    }
    buf_free(&series);
    buf_free(&sample);
}

// Snappy's block format, all of it literals.
static void snappy(const struct buf *in, struct buf *out) {
    put_varint(out, in->len);
    for (size_t at = 0; at < in->len;) {
        size_t n = in->len - at < 65536 ? in->len - at : 65536;
        buf_put(out, (const char[]){(char)(61 << 2), (char)(n - 1), (char)((n - 1) >> 8)}, 3);
        buf_put(out, in->data + at, n);
        at += n;
    }
}

static void post(struct units *u, const struct format_options *o, struct buf *body,
                 size_t *samples) {
    if (*samples == 0) {
        return;
    }
    struct unit *unit = new_unit(u);
    struct buf packed;
    buf_init(&packed, UNIT_MAX);
    if (o->format == FORMAT_PROM) {
        snappy(body, &packed);
    }
    const struct buf *content = o->format == FORMAT_PROM ? &packed : body;
    buf_printf(&unit->bytes, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n", o->path,
               o->host, content->len);
    buf_puts(&unit->bytes, o->format == FORMAT_PROM
                               ? "Content-Encoding: snappy\r\n"
                                 "Content-Type: application/x-protobuf\r\n"
                                 "X-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n"
                               : "Content-Type: text/plain\r\n\r\n");
    buf_put(&unit->bytes, content->data, content->len);
    unit->samples = *samples;
    buf_free(&packed);
    buf_clear(body);
    *samples = 0;
}

static void build_posts(struct units *u, const struct workload *load,
                        const struct format_options *o, size_t c, size_t connections) {
    size_t n = (load->runs + connections - 1 - c) / connections, samples = 0;
    struct walk *walks = must_alloc((n + 1) * sizeof *walks);
    struct buf body;
    buf_init(&body, UNIT_MAX);
    for (size_t i = 0; i < n; i++) {
        walk_init(&walks[i], load, c + i * connections);
    }
    for (size_t s = 0; s < load->steps; s++) { // jobs train side by side
        for (size_t i = 0; i < n; i++) {
            walk_next(&walks[i]);
            (o->format == FORMAT_INFLUX ? put_influx
             : o->format == FORMAT_TSV  ? put_tsv
                                        : put_prom)(&body, &walks[i], o);
            samples += load->layers * load->stats;
            if (body.len >= o->batch_bytes) {
                post(u, o, &body, &samples);
            }
        }
    }
    post(u, o, &body, &samples);
    for (size_t i = 0; i < n; i++) {
        walk_free(&walks[i]);
    }
    free(walks);
    buf_free(&body);
}

struct units format_units(const struct workload *load, const struct format_options *o, size_t c,
                          size_t connections) {
    struct units u = {0};
    if (o->format == FORMAT_FRAMES || o->format == FORMAT_LINES) {
        for (size_t run = c; run < load->runs; run += connections) {
            build_job(&u, load, o, run);
        }
    } else {
        build_posts(&u, load, o, c, connections);
    }
    for (size_t i = 0; i < u.n; i++) {
        CHECK(!u.list[i].bytes.failed);
    }
    return u;
}

void format_free(struct units *u) {
    for (size_t i = 0; i < u->n; i++) {
        buf_free(&u->list[i].bytes);
    }
    free(u->list);
}
