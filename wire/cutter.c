#include "wire/cutter.h"

#include "wire/frame.h"

#include <string.h>

// Memory that is kept between messages.
#define KEEP_BYTES (64u * 1024)

void cutter_init(struct cutter *c, size_t max) {
    *c = (struct cutter){0};
    buf_init(&c->partial, max);
}

void cutter_free(struct cutter *c) {
    buf_free(&c->partial);
}

static void take(struct slice *bytes, size_t n) {
    bytes->text += n;
    bytes->len -= n;
}

// Moves n bytes to the torn message.
static enum cut keep(struct cutter *c, struct slice *bytes, size_t n) {
    bool fits = n <= c->partial.max - c->partial.len;
    buf_put(&c->partial, bytes->text, n);
    take(bytes, n);
    return !c->partial.failed ? CUT_MORE : fits ? CUT_NO_MEMORY : CUT_TOO_LARGE;
}

static void hand_out(struct cutter *c, struct slice *message) {
    *message = (struct slice){c->partial.data, c->partial.len};
    c->handed_out = true;
}

static enum cut next_line(struct cutter *c, struct slice *bytes, struct slice *message) {
    const char *newline = memchr(bytes->text, '\n', bytes->len);
    if (!newline) {
        return keep(c, bytes, bytes->len);
    }
    size_t n = (size_t)(newline - bytes->text);
    if (c->partial.len) {
        enum cut kept = keep(c, bytes, n);
        if (kept != CUT_MORE) {
            return kept;
        }
        take(bytes, 1);
        hand_out(c, message);
        return CUT_LINE;
    }
    *message = (struct slice){bytes->text, n};
    take(bytes, n + 1);
    return n > c->partial.max ? CUT_TOO_LARGE : CUT_LINE;
}

// What the header says against what may be: CUT_FRAME when it is good.
static enum cut judge_header(const struct cutter *c, const char *header) {
    return !frame_version_is_known(header)       ? CUT_UNKNOWN_FRAME
           : frame_size(header) > c->partial.max ? CUT_TOO_LARGE
                                                 : CUT_FRAME;
}

// Fills the torn message up to n bytes in all: CUT_FRAME when it has them now.
static enum cut fill(struct cutter *c, struct slice *bytes, size_t n) {
    size_t lacking = c->partial.len < n ? n - c->partial.len : 0;
    enum cut kept = keep(c, bytes, lacking < bytes->len ? lacking : bytes->len);
    return kept == CUT_MORE && c->partial.len >= n ? CUT_FRAME : kept;
}

static enum cut next_frame(struct cutter *c, struct slice *bytes, struct slice *message) {
    if (c->partial.len == 0 && bytes->len >= FRAME_HEADER_BYTES) {
        enum cut verdict = judge_header(c, bytes->text);
        size_t size = frame_size(bytes->text);
        if (verdict != CUT_FRAME) {
            return verdict;
        }
        if (bytes->len >= size) {
            *message = (struct slice){bytes->text, size};
            take(bytes, size);
            return CUT_FRAME;
        }
    }
    enum cut verdict = fill(c, bytes, FRAME_HEADER_BYTES);
    verdict = verdict == CUT_FRAME ? judge_header(c, c->partial.data) : verdict;
    verdict = verdict == CUT_FRAME ? fill(c, bytes, frame_size(c->partial.data)) : verdict;
    if (verdict == CUT_FRAME) {
        hand_out(c, message);
    }
    return verdict;
}

enum cut cutter_next(struct cutter *c, struct slice *bytes, struct slice *message) {
    if (c->handed_out) {
        if (c->partial.cap > KEEP_BYTES) {
            buf_free(&c->partial);
        }
        buf_clear(&c->partial);
        c->handed_out = false;
    }
    if (bytes->len == 0) {
        return CUT_MORE;
    }
    char first = c->partial.len ? c->partial.data[0] : bytes->text[0];
    return (unsigned char)first == FRAME_MAGIC ? next_frame(c, bytes, message)
                                               : next_line(c, bytes, message);
}
