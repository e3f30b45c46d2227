#include "remote/message.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STALE_BITS UINT64_C(0x7FF0000000000002)
#define NAN_BITS UINT64_C(0x7FF8000000000001)

#define VARINT_MAX 10

// A field's number and how its value is laid out.
enum tag { SECOND_VARINT = 0x10, FIRST_DOUBLE = 0x09, FIRST_BYTES = 0x0A, SECOND_BYTES = 0x12 };

static size_t put_varint(unsigned char *to, uint64_t x) {
    size_t n = 0;
    for (; x >= 0x80; x >>= 7) {
        to[n++] = (unsigned char)(x | 0x80);
    }
    to[n++] = (unsigned char)x;
    return n;
}

static void put_bytes_head(struct buf *out, enum tag tag, size_t len) {
    unsigned char head[1 + VARINT_MAX] = {(unsigned char)tag};
    buf_put(out, head, 1 + put_varint(head + 1, len));
}

static size_t varint_size(uint64_t x) {
    unsigned char bytes[VARINT_MAX];
    return put_varint(bytes, x);
}

static size_t field_size(size_t len) {
    return 1 + varint_size(len) + len;
}

// A value may be of two texts, as a name with its suffix is.
static void put_label(struct buf *out, const char *name, const char *value, const char *rest) {
    size_t n_name = strlen(name), n_value = strlen(value), n_rest = strlen(rest);
    put_bytes_head(out, FIRST_BYTES, field_size(n_name) + field_size(n_value + n_rest));
    put_bytes_head(out, FIRST_BYTES, n_name);
    buf_put(out, name, n_name);
    put_bytes_head(out, SECOND_BYTES, n_value + n_rest);
    buf_put(out, value, n_value);
    buf_put(out, rest, n_rest);
}

static void sort(struct metrics_label *labels, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct metrics_label l = labels[i];
        size_t at = i;
        for (; at > 0 && strcmp(labels[at - 1].name, l.name) > 0; at--) {
            labels[at] = labels[at - 1];
        }
        labels[at] = l;
    }
}

void message_series(struct buf *out, const struct metrics_sample *s,
                    const struct metrics_label *more, size_t n_more) {
    struct metrics_label labels[SAMPLE_LABELS + LIMIT_RULE_WORDS];
    size_t n = 0;
    CHECK(s->n_labels + n_more <= sizeof labels / sizeof *labels);
    for (size_t i = 0; i < s->n_labels; i++) {
        if (*s->labels[i].value) { // an empty one is the same as none
            labels[n++] = s->labels[i];
        }
    }
    for (size_t i = 0; i < n_more; i++) {
        labels[n++] = more[i];
    }
    sort(labels, n);
    bool is_named = false; // capital letters stand before __name__
    for (size_t i = 0; i < n; i++) {
        if (!is_named && strcmp(labels[i].name, "__name__") > 0) {
            put_label(out, "__name__", s->family->name, s->suffix);
            is_named = true;
        }
        put_label(out, labels[i].name, labels[i].value, "");
    }
    if (!is_named) {
        put_label(out, "__name__", s->family->name, s->suffix);
    }
}

static void put_bits(struct buf *out, const void *series, size_t len, uint64_t bits,
                     int64_t time_ms) {
    unsigned char sample[1 + 8 + 1 + VARINT_MAX] = {FIRST_DOUBLE};
    for (size_t i = 0; i < 8; i++) {
        sample[1 + i] = (unsigned char)(bits >> (8 * i));
    }
    sample[9] = SECOND_VARINT;
    size_t size = 10 + put_varint(sample + 10, (uint64_t)time_ms);
    put_bytes_head(out, FIRST_BYTES, len + field_size(size));
    buf_put(out, series, len);
    put_bytes_head(out, SECOND_BYTES, size);
    buf_put(out, sample, size);
}

void message_put(struct buf *out, const void *series, size_t len, double value, int64_t time_ms) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    // A job's NaN may have any bits, those of the marker too.
    put_bits(out, series, len, isnan(value) ? NAN_BITS : bits, time_ms);
}

void message_put_end(struct buf *out, const void *series, size_t len, int64_t time_ms) {
    put_bits(out, series, len, STALE_BITS, time_ms);
}
