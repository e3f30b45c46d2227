// GET /metrics: OpenMetrics 1.0 text, or the older text format 0.0.4 for those that ask for it.
// They differ in the names of families (a counter's ends in _total in the older one), in units
// (comments there) and in the end mark. Who asks for neither gets what readers of both take:
// OpenMetrics whose counters have no type, since a type would name a family that the other format
// does not know.
#include "api/metrics.h"

#include "api/handlers.h"
#include "base/num.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_BYTES_MAX ((size_t)1 << 26)
#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_put_label(struct buf *out, const char *name, const char *value) {
    buf_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n') {
            buf_puts(out, "\\n");
        } else {
            if (*value == '"' || *value == '\\') {
                buf_putc(out, '\\');
            }
            buf_putc(out, *value);
        }
    }
    buf_putc(out, '"');
}

void metrics_put_number(struct buf *out, double x) {
    if (isnan(x)) {
        buf_puts(out, "NaN");
    } else if (isinf(x)) {
        buf_puts(out, x > 0 ? "+Inf" : "-Inf");
    } else {
        char text[NUM_TEXT_MAX];
        buf_put(out, text, num_format(text, x));
    }
}

static void print_family(void *context, const struct metrics_family *f) {
    struct buf *out = context;
    buf_printf(out, "# TYPE %s %s\n", f->name, f->type);
    if (f->unit) {
        buf_printf(out, "# UNIT %s %s\n", f->name, f->unit);
    }
    buf_printf(out, "# HELP %s %s\n", f->name, f->help);
}

static void print_sample(void *context, const struct metrics_sample *s) {
    struct buf *out = context;
    buf_puts(out, s->family->name);
    buf_puts(out, s->suffix);
    for (size_t i = 0; i < s->n_labels; i++) {
        buf_putc(out, i ? ',' : '{');
        metrics_put_label(out, s->labels[i].name, s->labels[i].value);
    }
    buf_puts(out, s->n_labels ? "} " : " ");
    metrics_put_number(out, s->value);
    buf_putc(out, '\n');
}

void metrics_print(struct buf *out, struct board *board, const uint64_t firing[SAMPLE_SEVERITIES]) {
    struct metrics_sink sink = {.begin = print_family, .put = print_sample, .context = out};
    struct snapshot **runs;
    size_t n = board_all(board, &runs);
    samples_of_daemon(board, firing, &sink);
    samples_of_runs(runs, n, METRICS_SAMPLES_MAX, &sink);
    buf_puts(out, "# EOF\n");
    for (size_t i = 0; i < n; i++) {
        snapshot_unref(runs[i]);
    }
    free(runs);
}

static bool begins(const char *line, size_t len, const char *with) {
    size_t n = strlen(with);
    return len >= n && memcmp(line, with, n) == 0;
}

static bool is_kept(const char *line, size_t len, bool is_counter, enum metrics_form form) {
    bool is_unit = begins(line, len, "# UNIT ");
    if (form == METRICS_TEXT) {
        return !is_unit && !begins(line, len, "# EOF");
    }
    return !is_counter || !(is_unit || begins(line, len, "# TYPE "));
}

void metrics_convert(const char *open, enum metrics_form form, struct buf *out) {
    static const char type[] = "# TYPE ", help[] = "# HELP ", counter[] = " counter";
    bool is_counter = false;
    for (size_t len; *open; open += len + (open[len] == '\n')) {
        len = strcspn(open, "\n");
        bool is_type = begins(open, len, type), is_help = begins(open, len, help);
        if (is_type) {
            is_counter = len > sizeof counter && memcmp(open + len - (sizeof counter - 1), counter,
                                                        sizeof counter - 1) == 0;
        }
        if (!is_kept(open, len, is_counter, form)) {
            continue;
        }
        size_t name = is_type || is_help ? 7 + strcspn(open + 7, " ") : len;
        buf_put(out, open, name);
        buf_puts(out, is_counter && name < len ? "_total" : "");
        buf_put(out, open + name, len - name);
        buf_putc(out, '\n');
    }
}

// The figures as they were when somebody last looked, to tell whether they have changed.
#define FIGURES (sizeof(struct board_figures) / sizeof(_Atomic uint64_t))

struct metrics_watch {
    pthread_mutex_t lock;
    uint64_t seen[FIGURES];
    uint64_t changes;
};

struct metrics_watch *metrics_watch_create(void) {
    struct metrics_watch *w = NEW(struct metrics_watch);
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void metrics_watch_destroy(struct metrics_watch *w) {
    pthread_mutex_destroy(&w->lock);
    free(w);
}

// Grows with every change of what the metrics show.
static uint64_t version(struct api *a) {
    struct metrics_watch *w = a->metrics;
    const _Atomic uint64_t *figures = (const _Atomic uint64_t *)board_figures(a->board);
    bool changed = false;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < FIGURES; i++) {
        uint64_t now = atomic_load_explicit(&figures[i], memory_order_relaxed);
        changed = changed || now != w->seen[i];
        w->seen[i] = now;
    }
    w->changes += changed || board_figures(a->board)->waiting_since_ns; // the lag grows by itself
    uint64_t all = w->changes + board_version(a->board);
    pthread_mutex_unlock(&w->lock);
    return all;
}

static enum metrics_form wanted_form(const struct request *q) {
    const char *accept = request_header(q, MHD_HTTP_HEADER_ACCEPT);
    if (accept && strstr(accept, "openmetrics-text")) {
        return METRICS_OPEN;
    }
    return accept && strstr(accept, "text/plain") ? METRICS_TEXT : METRICS_COMMON;
}

static const char *const keys[] = {[METRICS_OPEN] = "/metrics open",
                                   [METRICS_TEXT] = "/metrics text",
                                   [METRICS_COMMON] = "/metrics"};

static enum MHD_Result make_metrics(struct request *q) {
    enum metrics_form form = wanted_form(q);
    enum MHD_Result rc;
    if (request_shelved(q, keys[form], &rc)) { // made while this request waited for a worker
        return rc;
    }
    uint64_t made = version(q->api);
    struct buf open, other;
    buf_init(&open, METRICS_BYTES_MAX);
    buf_init(&other, METRICS_BYTES_MAX);
    uint64_t firing[SAMPLE_SEVERITIES] = {0};
    metrics_print(&open, q->api->board, samples_count_firing(q->reader, firing) ? firing : NULL);
    if (form != METRICS_OPEN) {
        metrics_convert(buf_str(&open), form, &other);
    }
    rc = answer_shelved(q, keys[form], made, form == METRICS_OPEN ? &open : &other,
                        form == METRICS_TEXT ? TEXT_TYPE : METRICS_TYPE);
    buf_free(&open);
    buf_free(&other);
    return rc;
}

enum MHD_Result metrics_get(struct request *q) {
    enum MHD_Result rc;
    q->arrived = version(q->api);
    return request_shelved(q, keys[wanted_form(q)], &rc) ? rc
                                                         : request_defer(q, make_metrics, false);
}
