#include "storage/blob.h"

#include "base/float32.h"
#include "config/limits.h"
#include "storage/source.h"
#include "wire/json.h"

#include <string.h>

#define VERSION 1
#define FLOAT64 0x80

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are written as memory has them");

struct head {
    uint8_t version, zero;
    uint16_t columns, scalars, zero2;
    uint32_t layers, zero3;
    double time, loss, lr, batch_size, loss_after, val_loss;
};
_Static_assert(sizeof(struct head) == 64, "the head has no padding");

static void put_values(struct buf *out, const struct step_column *c, size_t n, bool wide) {
    if (wide) {
        buf_put(out, c->values, n * sizeof *c->values);
        return;
    }
    if (c->floats) {
        buf_put(out, c->floats, n * sizeof(float));
        return;
    }
    char *to = buf_reserve(out, n * sizeof(float));
    if (to) {
        float32_narrow(c->values, n, to);
        out->len += n * sizeof(float);
    }
}

bool blob_encode(const struct step *s, struct buf *out) {
    struct head head = {.version = VERSION,
                        .columns = (uint16_t)s->n_columns,
                        .scalars = (uint16_t)s->n_scalars,
                        .layers = (uint32_t)s->n_layers,
                        .time = s->time,
                        .loss = s->loss,
                        .lr = s->lr,
                        .batch_size = s->batch_size,
                        .loss_after = s->loss_after,
                        .val_loss = s->val_loss};
    buf_put(out, &head, sizeof head);
    bool wide[STAT_COUNT + LIMIT_CUSTOM_STATS];
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct step_column *c = &s->columns[i];
        wide[i] = !c->floats && !float32_fits(c->values, s->n_layers);
        size_t name_len = c->stat ? 0 : strlen(c->name);
        buf_putc(out, (char)((unsigned)c->stat | (wide[i] ? FLOAT64 : 0)));
        buf_putc(out, (char)name_len);
        buf_put(out, c->name, name_len);
    }
    for (size_t i = 0; i < s->n_scalars; i++) {
        size_t name_len = strlen(s->scalars[i].name);
        buf_putc(out, (char)name_len);
        buf_put(out, s->scalars[i].name, name_len);
        buf_put(out, &s->scalars[i].value, sizeof(double));
    }
    for (size_t i = 0; i < s->n_columns; i++) {
        put_values(out, &s->columns[i], s->n_layers, wide[i]);
    }
    return !out->failed;
}

// A name of min to max bytes; what is none comes from a damaged store and would damage what is
// printed.
static bool get_name(struct source *from, size_t min, size_t max, const char **name, size_t *len) {
    uint8_t n;
    size_t bad;
    if (!source_get(from, &n, 1) || (size_t)(from->end - from->p) < n || n < min || n > max) {
        return false;
    }
    *name = (const char *)from->p;
    *len = n;
    from->p += n;
    return !memchr(*name, '\0', n) && utf8_valid(*name, n, &bad);
}

static bool get_column_heads(struct source *from, size_t n, bool *wide, struct step *out) {
    for (size_t i = 0; i < n; i++) {
        uint8_t id;
        const char *name;
        size_t len;
        if (!source_get(from, &id, 1)) {
            return false;
        }
        wide[i] = id & FLOAT64;
        id &= (uint8_t)~FLOAT64;
        size_t min = id == STAT_NONE ? 1 : 0, max = id == STAT_NONE ? LIMIT_STAT_NAME : 0;
        if (id >= STAT_COUNT || !get_name(from, min, max, &name, &len) ||
            !step_add_column(out, (enum statistic)id, name, len)) {
            return false;
        }
    }
    return true;
}

static bool get_scalars(struct source *from, size_t n, struct step *out) {
    for (size_t i = 0; i < n; i++) {
        const char *name;
        size_t len;
        double value;
        if (!get_name(from, 1, LIMIT_SCALAR_NAME, &name, &len) ||
            !source_get(from, &value, sizeof value) || !step_add_scalar(out, name, len, value)) {
            return false;
        }
    }
    return true;
}

static bool get_values(struct source *from, size_t n, bool wide, double *values) {
    if (wide) {
        return source_get(from, values, n * sizeof *values);
    }
    if ((size_t)(from->end - from->p) / sizeof(float) < n) {
        return false;
    }
    float32_widen(from->p, n, values);
    from->p += n * sizeof(float);
    return true;
}

bool blob_decode(const void *bytes, size_t size, struct step *out) {
    struct source from = {bytes, (const unsigned char *)bytes + size};
    struct head head;
    bool wide[STAT_COUNT + LIMIT_CUSTOM_STATS];
    if (!source_get(&from, &head, sizeof head) || head.version != VERSION ||
        head.layers > LIMIT_LAYERS || (head.columns && !head.layers) ||
        head.columns > STAT_COUNT - 1 + LIMIT_CUSTOM_STATS || head.scalars > LIMIT_SCALARS ||
        // No column is shorter than this: a damaged head must not make us reserve what is not
        // there.
        (size_t)head.columns * head.layers > size / sizeof(float) + 1) {
        return false;
    }
    int64_t step = out->step;
    step_clear(out, head.layers);
    out->step = step;
    out->time = head.time;
    out->loss = head.loss;
    out->lr = head.lr;
    out->batch_size = head.batch_size;
    out->loss_after = head.loss_after;
    out->val_loss = head.val_loss;
    if (!get_column_heads(&from, head.columns, wide, out) ||
        !get_scalars(&from, head.scalars, out)) {
        return false;
    }
    for (size_t i = 0; i < head.columns; i++) {
        if (!get_values(&from, head.layers, wide[i], out->columns[i].values)) {
            return false;
        }
    }
    return from.p == from.end;
}
