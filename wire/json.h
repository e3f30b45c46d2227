// A validating pull scanner over one JSON text, for messages that are read at thousands a second
// and need no tree (trees are cJSON's). It takes what the protocol takes: RFC 8259, and the bare
// tokens NaN, Infinity and -Infinity where a number may stand.
//
// Every function returns false once something is wrong; `error` then says what, and json_offset()
// where.
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "base/buf.h"
#include "config/limits.h"

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *text; // not NUL-terminated
    size_t len;
};

struct json {
    const char *start, *p, *end;
    int depth;
    const char *error; // static text, NULL while all is well
};

enum json_kind {
    JSON_NONE, // the end of the text, or no value
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER, // a bare non-finite token too
    JSON_BOOL,
    JSON_NULL
};

void json_init(struct json *j, const char *text, size_t len);
size_t json_offset(const struct json *j);
// What the next value is, without taking it.
enum json_kind json_peek(struct json *j);

// Walks an object: `*key` is the raw text between the quotes, escapes unresolved (json_unescape).
//   json_object(j); while (json_key(j, &key)) { take one value }   then look at j->error
bool json_object(struct json *j);
bool json_key(struct json *j, struct slice *key);
// Walks an array the same way: true when another element follows.
bool json_array(struct json *j);
bool json_element(struct json *j);

// A number, a bare non-finite token, the strings "NaN" "Infinity" "-Infinity", or null
// (num_missing()). False without an error, and nothing taken, when the next value is something
// else.
bool json_number(struct json *j, double *x);
// A string's raw text between the quotes. False without an error when the next value is none.
bool json_string(struct json *j, struct slice *raw);
// Takes any value; `*raw` (may be NULL) is its whole text.
bool json_skip(struct json *j, struct slice *raw);
// True when only white space is left.
bool json_at_end(struct json *j);

bool slice_is(struct slice s, const char *text);
// Appends the string with its escapes resolved, as UTF-8. False for \u0000 and unpaired surrogates.
bool json_unescape(struct slice raw, struct buf *out);
// The raw text of a top-level member of an object. False when it is not there or the text is not
// JSON.
bool json_member(const char *text, size_t len, const char *name, struct slice *value);
// Copies a JSON text with bare non-finite tokens turned into strings, so that strict parsers take
// it. The text must have been validated.
void json_quote_nonfinite(const char *text, size_t len, struct buf *out);
// True for well-formed UTF-8; else *bad is the offset of the first byte that is not.
bool utf8_valid(const char *text, size_t len, size_t *bad);
// Appends text as a JSON string with its quotes.
void json_put_string(struct buf *out, const char *text, size_t len);

#endif
