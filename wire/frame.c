#include "wire/frame.h"

#include "base/float32.h"
#include "base/num.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are read as memory has them");

struct frame_head {
    uint8_t magic, version;
    uint16_t zero;
    uint32_t following;
    int64_t step;
    double time, loss, lr;
    uint32_t batch_size;
    uint16_t n_stats, zero2;
};
_Static_assert(sizeof(struct frame_head) == 48, "the head has no padding");

static size_t padded(size_t n) {
    return (n + 7) & ~(size_t)7;
}

size_t frame_size(const void *header) {
    uint32_t following;
    memcpy(&following, (const char *)header + 4, sizeof following);
    return FRAME_HEADER_BYTES + (size_t)following;
}

bool frame_version_is_known(const void *header) {
    return ((const unsigned char *)header)[1] == FRAME_VERSION;
}

static size_t column_bytes(unsigned char id, size_t n_layers) {
    return padded(n_layers * (id & FRAME_FLOAT64 ? sizeof(double) : sizeof(float)));
}

static int check_head(const struct frame_head *head, struct wire_error *error) {
    if (head->zero || head->zero2) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "a reserved field of the frame is not 0; the step was dropped");
    }
    if (head->step < 0 || head->step > STEP_MAX) {
        return wire_fail(error, WIRE_BAD_VALUE, "step %lld is not of 0 to %lld; dropped",
                         (long long)head->step, (long long)STEP_MAX);
    }
    return 0;
}

// The ids, and columns of the run's layers: exactly that many bytes.
static int check_shape(const struct frame_head *head, const unsigned char *ids, size_t len,
                       size_t n_layers, struct wire_error *error) {
    size_t expected = sizeof *head + padded(head->n_stats);
    for (size_t i = 0; expected <= len && i < head->n_stats; i++) {
        expected += column_bytes(ids[i], n_layers);
    }
    if (expected != len) {
        return wire_fail(error, WIRE_WRONG_SHAPE,
                         "the frame has %zu bytes; a step of %u statistics for the run's %zu "
                         "layers takes %s%zu; it was dropped",
                         len, (unsigned)head->n_stats, n_layers, expected > len ? "at least " : "",
                         expected);
    }
    return 0;
}

// A column for the id, which must be one and stand once. NULL with the error filled.
static struct step_column *add_column(struct step *s, unsigned id, struct wire_error *error) {
    char own[16] = "";
    enum statistic stat = id < STAT_COUNT ? (enum statistic)id : STAT_NONE;
    if (id == STAT_NONE) {
        wire_fail(error, WIRE_BAD_VALUE, "0 is no statistic's id; the step was dropped");
        return NULL;
    }
    int n = stat ? 0 : snprintf(own, sizeof own, "stat_%u", id);
    for (size_t i = 0; i < s->n_columns; i++) {
        if (s->columns[i].stat == stat && (stat || strcmp(s->columns[i].name, own) == 0)) {
            wire_fail(error, WIRE_BAD_VALUE,
                      "%s (id %u) stands twice in the frame; the step was dropped",
                      s->columns[i].name, id);
            return NULL;
        }
    }
    double *values = step_add_column(s, stat, own, (size_t)n);
    if (!values && s->no_memory) {
        wire_no_memory(error);
        return NULL;
    }
    if (!values) {
        wire_fail(error, WIRE_BAD_VALUE,
                  "too many statistics with ids that this daemon does not know (to id %u); the "
                  "step was dropped",
                  id);
        return NULL;
    }
    return &s->columns[s->n_columns - 1];
}

int frame_parse(struct step *s, const void *bytes, size_t len, size_t n_layers,
                struct wire_error *error) {
    step_clear(s, n_layers);
    struct frame_head head;
    if (len < sizeof head) {
        return wire_fail(error, WIRE_WRONG_SHAPE,
                         "the frame has %zu bytes, the least is %zu; it was dropped", len,
                         sizeof head);
    }
    memcpy(&head, bytes, sizeof head);
    const unsigned char *ids = (const unsigned char *)bytes + sizeof head;
    if (check_head(&head, error) || check_shape(&head, ids, len, n_layers, error)) {
        return -1;
    }
    s->step = head.step;
    s->time = isfinite(head.time) && head.time > 0 ? head.time : 0;
    s->loss = head.loss;
    s->lr = head.lr;
    s->batch_size = head.batch_size ? (double)head.batch_size : num_missing();
    const unsigned char *values = ids + padded(head.n_stats);
    for (size_t i = 0; i < head.n_stats; i++) {
        struct step_column *c = add_column(s, ids[i] & ~(unsigned)FRAME_FLOAT64, error);
        if (!c) {
            return -1;
        }
        if (ids[i] & FRAME_FLOAT64) {
            memcpy(c->values, values, n_layers * sizeof *c->values);
        } else {
            float32_widen(values, n_layers, c->values);
            c->floats = values;
        }
        values += column_bytes(ids[i], n_layers);
    }
    return 0;
}

bool frame_can_carry(const struct step *s) {
    bool all_known = true;
    for (size_t i = 0; i < s->n_columns; i++) {
        all_known &= s->columns[i].stat != STAT_NONE;
    }
    double b = s->batch_size;
    return all_known && s->n_scalars == 0 && num_is_missing(s->loss_after) &&
           num_is_missing(s->val_loss) &&
           (num_is_missing(b) ||
            (b >= 1 && b <= (double)UINT32_MAX && !(b < floor(b) || b > floor(b))));
}

static void put_padding(struct buf *out, size_t n) {
    static const char zeros[8];
    buf_put(out, zeros, padded(n) - n);
}

void frame_print(const struct step *s, struct buf *out) {
    struct frame_head head = {.magic = FRAME_MAGIC,
                              .version = FRAME_VERSION,
                              .step = s->step,
                              .time = s->time,
                              .loss = s->loss,
                              .lr = s->lr,
                              .n_stats = (uint16_t)s->n_columns};
    head.batch_size = num_is_missing(s->batch_size) ? 0 : (uint32_t)s->batch_size;
    unsigned char ids[STAT_COUNT];
    size_t following = sizeof head - FRAME_HEADER_BYTES + padded(s->n_columns);
    for (size_t i = 0; i < s->n_columns; i++) {
        bool wide = !float32_fits(s->columns[i].values, s->n_layers);
        ids[i] = (unsigned char)((unsigned)s->columns[i].stat | (wide ? FRAME_FLOAT64 : 0));
        following += column_bytes(ids[i], s->n_layers);
    }
    head.following = (uint32_t)following;
    buf_put(out, &head, sizeof head);
    buf_put(out, ids, s->n_columns);
    put_padding(out, s->n_columns);
    for (size_t i = 0; i < s->n_columns; i++) {
        if (ids[i] & FRAME_FLOAT64) {
            buf_put(out, s->columns[i].values, s->n_layers * sizeof(double));
            continue;
        }
        char *to = buf_reserve(out, s->n_layers * sizeof(float));
        if (to) {
            float32_narrow(s->columns[i].values, s->n_layers, to);
            out->len += s->n_layers * sizeof(float);
        }
        put_padding(out, s->n_layers * sizeof(float));
    }
}
