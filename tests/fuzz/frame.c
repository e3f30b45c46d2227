// Any bytes as what a connection brings, cut into reads by the input's first byte: the messages are
// the same however the reads fall, and a frame that is taken is printed so that it is read the
// same.
#include "base/check.h"
#include "storage/blob.h"
#include "wire/cutter.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

#define BUF_MAX ((size_t)64 << 20)
#define MESSAGE_MAX 4096
#define LAYERS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_bits(const struct step *a, const struct step *b) {
    CHECK(a->step == b->step && a->n_columns == b->n_columns);
    CHECK(memcmp(&a->loss, &b->loss, sizeof a->loss) == 0);
    for (size_t i = 0; i < a->n_columns; i++) {
        CHECK(a->columns[i].stat == b->columns[i].stat);
        CHECK(strcmp(a->columns[i].name, b->columns[i].name) == 0);
        CHECK(memcmp(a->columns[i].values, b->columns[i].values, LAYERS * sizeof(double)) == 0);
    }
}

static void fuzz_frame(struct slice bytes) {
    struct step s, again;
    struct wire_error error;
    struct buf out;
    step_init(&s);
    step_init(&again);
    buf_init(&out, BUF_MAX);
    if (frame_parse(&s, bytes.text, bytes.len, LAYERS, &error) == 0) {
        CHECK(blob_encode(&s, &out));
        again.step = s.step;
        CHECK(blob_decode(out.data, out.len, &again));
        same_bits(&s, &again);
        buf_clear(&out);
        if (frame_can_carry(&s)) {
            frame_print(&s, &out);
            CHECK(frame_size(out.data) == out.len);
            CHECK(frame_parse(&again, out.data, out.len, LAYERS, &error) == 0);
            same_bits(&s, &again);
        }
    } else {
        CHECK(error.code == WIRE_WRONG_SHAPE || error.code == WIRE_BAD_VALUE);
    }
    buf_free(&out);
    step_free(&s);
    step_free(&again);
}

// Appends what is cut, reads being of `read` bytes.
static void cut(const uint8_t *data, size_t size, size_t read, struct buf *out) {
    struct cutter c;
    cutter_init(&c, MESSAGE_MAX);
    for (size_t at = 0; at < size; at += read) {
        struct slice left = {(const char *)data + at, size - at < read ? size - at : read}, message;
        while (left.len) {
            enum cut kind = cutter_next(&c, &left, &message);
            if (kind == CUT_TOO_LARGE || kind == CUT_UNKNOWN_FRAME) {
                buf_printf(out, "%d.", (int)kind);
                cutter_free(&c);
                return;
            }
            if (kind != CUT_MORE) {
                buf_printf(out, "%d:%zu:", (int)kind, message.len);
                buf_put(out, message.text, message.len);
            }
        }
    }
    cutter_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    struct buf whole, torn;
    buf_init(&whole, BUF_MAX);
    buf_init(&torn, BUF_MAX);
    cut(data + 1, size - 1, size, &whole);
    cut(data + 1, size - 1, 1 + data[0] % 64, &torn);
    CHECK(whole.len == torn.len && (whole.len == 0 || !memcmp(whole.data, torn.data, whole.len)));
    buf_free(&whole);
    buf_free(&torn);
    struct cutter c;
    struct slice left = {(const char *)data + 1, size - 1}, message;
    cutter_init(&c, MESSAGE_MAX);
    enum cut kind;
    while (left.len && (kind = cutter_next(&c, &left, &message)) != CUT_MORE) {
        if (kind == CUT_FRAME) {
            fuzz_frame(message);
        } else if (kind != CUT_LINE) {
            break;
        }
    }
    cutter_free(&c);
    fuzz_frame((struct slice){(const char *)data, size});
    return 0;
}
