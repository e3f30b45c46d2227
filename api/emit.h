// Writes JSON piece by piece at the end of a buffer, without a tree. `key` is NULL inside arrays
// and at the top. Commas and quotes are taken care of; that what is opened is closed is the
// caller's part.
#ifndef API_EMIT_H
#define API_EMIT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMIT_DEPTH_MAX 32

struct emit {
    struct buf *out;
    unsigned depth;
    uint32_t filled; // bit d: something stands at depth d already, a comma is due
    char close[EMIT_DEPTH_MAX];
};

struct emit emit_to(struct buf *out);
void emit_object(struct emit *e, const char *key);
void emit_array(struct emit *e, const char *key);
void emit_end(struct emit *e); // of the innermost object or array
void emit_text(struct emit *e, const char *key, const char *text); // NULL: null
void emit_number(struct emit *e, const char *key, double x);       // as num_format() has it
// The ends of an interval, as num_format_low() and num_format_high() have them.
void emit_low(struct emit *e, const char *key, double x);
void emit_high(struct emit *e, const char *key, double x);
void emit_integer(struct emit *e, const char *key, int64_t x);
void emit_bool(struct emit *e, const char *key, bool x);
void emit_null(struct emit *e, const char *key);
// A time or a step that may be missing: null where x is not above `none`.
void emit_time(struct emit *e, const char *key, double x);  // 0: null
void emit_step(struct emit *e, const char *key, int64_t x); // -1: null
// A value that is JSON already.
void emit_raw(struct emit *e, const char *key, const char *json, size_t len);

#endif
