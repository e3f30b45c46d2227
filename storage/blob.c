#include "storage/blob.h"

#include "base/num.h"
#include "config/limits.h"
#include "wire/json.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define VERSION 1
#define FLOAT64 0x80
#define MISSING_FLOAT UINT32_C(0x7FC0A0A7)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are written as memory has them");

struct head {
    uint8_t version, zero;
    uint16_t columns, scalars, zero2;
    uint32_t layers, zero3;
    double time, loss, lr, batch_size, loss_after, val_loss;
};
_Static_assert(sizeof(struct head) == 64, "the head has no padding");

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// The float that stands for x, when one does to the last bit.
static bool to_float(double x, float *f) {
    if (num_is_missing(x)) {
        uint32_t bits = MISSING_FLOAT;
        memcpy(f, &bits, sizeof bits);
        return true;
    }
    // Finite values beyond float's range must not be converted: that is undefined.
    if (isfinite(x) && fabs(x) > (double)FLT_MAX) {
        return false;
    }
    *f = (float)x;
    uint32_t bits;
    memcpy(&bits, f, sizeof bits);
    return bits_of((double)*f) == bits_of(x) && bits != MISSING_FLOAT;
}

static bool column_fits_float(const double *values, size_t n) {
    float f;
    for (size_t i = 0; i < n; i++) {
        if (!to_float(values[i], &f)) {
            return false;
        }
    }
    return true;
}

static void put_values(struct buf *out, const double *values, size_t n, bool wide) {
    if (wide) {
        buf_put(out, values, n * sizeof *values);
        return;
    }
    char *to = buf_reserve(out, n * sizeof(float));
    for (size_t i = 0; to && i < n; i++) {
        float f = 0;
        to_float(values[i], &f);
        memcpy(to + i * sizeof f, &f, sizeof f);
    }
    out->len += to ? n * sizeof(float) : 0;
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
        wide[i] = !column_fits_float(c->values, s->n_layers);
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
        put_values(out, s->columns[i].values, s->n_layers, wide[i]);
    }
    return !out->failed;
}

struct source {
    const char *p, *end;
};

static bool get(struct source *from, void *to, size_t n) {
    if ((size_t)(from->end - from->p) < n) {
        return false;
    }
    memcpy(to, from->p, n);
    from->p += n;
    return true;
}

// A name of min to max bytes; what is none comes from a damaged store and would damage what is
// printed.
static bool get_name(struct source *from, size_t min, size_t max, const char **name, size_t *len) {
    uint8_t n;
    size_t bad;
    if (!get(from, &n, 1) || (size_t)(from->end - from->p) < n || n < min || n > max) {
        return false;
    }
    *name = from->p;
    *len = n;
    from->p += n;
    return !memchr(*name, '\0', n) && utf8_valid(*name, n, &bad);
}

static bool get_float(struct source *from, double *value) {
    uint32_t bits;
    float f;
    if (!get(from, &bits, sizeof bits)) {
        return false;
    }
    memcpy(&f, &bits, sizeof f);
    *value = bits == MISSING_FLOAT ? num_missing() : (double)f;
    return true;
}

static bool get_column_heads(struct source *from, size_t n, bool *wide, struct step *out) {
    for (size_t i = 0; i < n; i++) {
        uint8_t id;
        const char *name;
        size_t len;
        if (!get(from, &id, 1)) {
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
            !get(from, &value, sizeof value) || !step_add_scalar(out, name, len, value)) {
            return false;
        }
    }
    return true;
}

static bool get_values(struct source *from, size_t n, bool wide, double *values) {
    if (wide) {
        return get(from, values, n * sizeof *values);
    }
    for (size_t i = 0; i < n; i++) {
        if (!get_float(from, &values[i])) {
            return false;
        }
    }
    return true;
}

bool blob_decode(const void *bytes, size_t size, struct step *out) {
    struct source from = {bytes, (const char *)bytes + size};
    struct head head;
    bool wide[STAT_COUNT + LIMIT_CUSTOM_STATS];
    if (!get(&from, &head, sizeof head) || head.version != VERSION || head.layers > LIMIT_LAYERS ||
        (head.columns && !head.layers) || head.columns > STAT_COUNT - 1 + LIMIT_CUSTOM_STATS ||
        head.scalars > LIMIT_SCALARS ||
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
