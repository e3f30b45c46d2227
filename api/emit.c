#include "api/emit.h"

#include "base/check.h"
#include "base/num.h"
#include "wire/json.h"

#include <string.h>

struct emit emit_to(struct buf *out) {
    return (struct emit){.out = out};
}

static void begin_value(struct emit *e, const char *key) {
    if (e->filled >> e->depth & 1) {
        buf_putc(e->out, ',');
    }
    e->filled |= UINT32_C(1) << e->depth;
    if (key) {
        json_put_string(e->out, key, strlen(key));
        buf_putc(e->out, ':');
    }
}

static void nest(struct emit *e, const char *key, char with, char close) {
    begin_value(e, key);
    buf_putc(e->out, with);
    e->depth++;
    CHECK(e->depth < EMIT_DEPTH_MAX);
    e->filled &= ~(UINT32_C(1) << e->depth);
    e->close[e->depth] = close;
}

void emit_object(struct emit *e, const char *key) {
    nest(e, key, '{', '}');
}

void emit_array(struct emit *e, const char *key) {
    nest(e, key, '[', ']');
}

void emit_end(struct emit *e) {
    CHECK(e->depth > 0);
    buf_putc(e->out, e->close[e->depth--]);
}

void emit_text(struct emit *e, const char *key, const char *text) {
    if (!text) {
        emit_null(e, key);
        return;
    }
    begin_value(e, key);
    json_put_string(e->out, text, strlen(text));
}

void emit_number(struct emit *e, const char *key, double x) {
    char text[NUM_TEXT_MAX];
    begin_value(e, key);
    buf_put(e->out, text, num_format(text, x));
}

void emit_low(struct emit *e, const char *key, double x) {
    char text[NUM_TEXT_MAX];
    begin_value(e, key);
    buf_put(e->out, text, num_format_low(text, x));
}

void emit_high(struct emit *e, const char *key, double x) {
    char text[NUM_TEXT_MAX];
    begin_value(e, key);
    buf_put(e->out, text, num_format_high(text, x));
}

void emit_integer(struct emit *e, const char *key, int64_t x) {
    char text[NUM_TEXT_MAX];
    begin_value(e, key);
    buf_put(e->out, text, num_format_integer(text, x));
}

void emit_bool(struct emit *e, const char *key, bool x) {
    begin_value(e, key);
    buf_puts(e->out, x ? "true" : "false");
}

void emit_null(struct emit *e, const char *key) {
    begin_value(e, key);
    buf_puts(e->out, "null");
}

void emit_time(struct emit *e, const char *key, double x) {
    if (x > 0) {
        emit_number(e, key, x);
    } else {
        emit_null(e, key);
    }
}

void emit_step(struct emit *e, const char *key, int64_t x) {
    if (x >= 0) {
        emit_integer(e, key, x);
    } else {
        emit_null(e, key);
    }
}

void emit_raw(struct emit *e, const char *key, const char *json, size_t len) {
    begin_value(e, key);
    buf_put(e->out, json, len);
}
