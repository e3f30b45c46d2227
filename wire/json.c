#include "wire/json.h"

#include "base/num.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

void json_init(struct json *j, const char *text, size_t len) {
    *j = (struct json){.start = text, .p = text, .end = text + len};
}

size_t json_offset(const struct json *j) {
    return (size_t)(j->p - j->start);
}

static bool fail(struct json *j, const char *error) {
    if (!j->error) {
        j->error = error;
    }
    return false;
}

static void skip_space(struct json *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\r' || *j->p == '\n')) {
        j->p++;
    }
}

static bool next_is(struct json *j, char c) {
    skip_space(j);
    return j->p < j->end && *j->p == c;
}

static bool take(struct json *j, char c) {
    if (!next_is(j, c)) {
        return false;
    }
    j->p++;
    return true;
}

static bool starts_with(const struct json *j, const char *word) {
    size_t n = strlen(word);
    return (size_t)(j->end - j->p) >= n && memcmp(j->p, word, n) == 0;
}

static bool take_word(struct json *j, const char *word) {
    if (!starts_with(j, word)) {
        return false;
    }
    j->p += strlen(word);
    return true;
}

enum json_kind json_peek(struct json *j) {
    skip_space(j);
    if (j->p == j->end) {
        return JSON_NONE;
    }
    switch (*j->p) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    case 'N':
    case 'I':
    case '-':
        return JSON_NUMBER;
    default:
        return *j->p >= '0' && *j->p <= '9' ? JSON_NUMBER : JSON_NONE;
    }
}

static bool enter(struct json *j, char open, const char *error) {
    if (j->error || !take(j, open)) {
        return fail(j, error);
    }
    if (++j->depth > LIMIT_JSON_DEPTH) {
        return fail(j, "nested too deeply");
    }
    return true;
}

// After an opening bracket or an element: true when another element follows. A comma is due unless
// the last character taken was the bracket.
static bool another(struct json *j, char open, char close, const char *error) {
    if (j->error) {
        return false;
    }
    const char *before = j->p;
    if (take(j, close)) {
        j->depth--;
        return false;
    }
    bool first = before > j->start && before[-1] == open;
    if (!first && !take(j, ',')) {
        return fail(j, error);
    }
    if (next_is(j, close)) {
        return fail(j, "a comma before the closing bracket");
    }
    return true;
}

bool json_object(struct json *j) {
    return enter(j, '{', "expected an object");
}

bool json_array(struct json *j) {
    return enter(j, '[', "expected an array");
}

bool json_element(struct json *j) {
    return another(j, '[', ']', "expected ',' or ']'");
}

static bool valid_escape(struct json *j) {
    if (j->p == j->end) {
        return fail(j, "unfinished string");
    }
    char c = *j->p++;
    if (c != 'u') {
        return strchr("\"\\/bfnrt", c) && c ? true : fail(j, "an escape that JSON does not know");
    }
    for (int i = 0; i < 4; i++, j->p++) {
        if (j->p == j->end || !*j->p || !strchr("0123456789abcdefABCDEF", *j->p)) {
            return fail(j, "\\u wants four hexadecimal digits");
        }
    }
    return true;
}

static bool scan_string(struct json *j, struct slice *raw) {
    const char *from = ++j->p;
    while (j->p < j->end && *j->p != '"') {
        if ((unsigned char)*j->p < 0x20) {
            return fail(j, "a control character in a string");
        }
        if (*j->p++ == '\\' && !valid_escape(j)) {
            return false;
        }
    }
    if (j->p == j->end) {
        return fail(j, "unfinished string");
    }
    *raw = (struct slice){from, (size_t)(j->p - from)};
    j->p++;
    return true;
}

bool json_key(struct json *j, struct slice *key) {
    if (!another(j, '{', '}', "expected ',' or '}'")) {
        return false;
    }
    if (!next_is(j, '"')) {
        return fail(j, "expected a key");
    }
    return scan_string(j, key) && (take(j, ':') || fail(j, "expected ':'"));
}

bool json_string(struct json *j, struct slice *raw) {
    return !j->error && next_is(j, '"') && scan_string(j, raw);
}

static bool nonfinite_word(struct json *j, double *x) {
    if (take_word(j, "NaN")) {
        *x = (double)NAN;
    } else if (take_word(j, "Infinity")) {
        *x = (double)INFINITY;
    } else if (take_word(j, "-Infinity")) {
        *x = -(double)INFINITY;
    } else {
        return false;
    }
    return true;
}

bool json_number(struct json *j, double *x) {
    if (j->error) {
        return false;
    }
    skip_space(j);
    size_t n = num_parse(j->p, j->end, x);
    if (n) {
        j->p += n;
        return true;
    }
    if (nonfinite_word(j, x)) {
        return true;
    }
    if (take_word(j, "null")) {
        *x = num_missing();
        return true;
    }
    const char *at = j->p;
    if (j->p < j->end && *j->p == '"') {
        j->p++;
        if (nonfinite_word(j, x) && j->p < j->end && *j->p == '"') {
            j->p++;
            return true;
        }
        j->p = at;
    }
    return false;
}

static bool skip_container(struct json *j, bool is_object) {
    struct slice key;
    if (is_object) {
        json_object(j);
        while (json_key(j, &key)) {
            json_skip(j, NULL);
        }
    } else {
        json_array(j);
        while (json_element(j)) {
            json_skip(j, NULL);
        }
    }
    return !j->error;
}

bool json_skip(struct json *j, struct slice *raw) {
    if (j->error) {
        return false;
    }
    enum json_kind kind = json_peek(j);
    const char *from = j->p;
    struct slice text;
    double x;
    bool ok = true;
    if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
        ok = skip_container(j, kind == JSON_OBJECT); // as deep as LIMIT_JSON_DEPTH at the most
    } else if (kind == JSON_STRING) {
        ok = scan_string(j, &text);
    } else if (kind == JSON_BOOL) {
        ok = take_word(j, "true") || take_word(j, "false");
    } else {
        ok = json_number(j, &x);
    }
    if (ok && raw) {
        *raw = (struct slice){from, (size_t)(j->p - from)};
    }
    return ok || fail(j, "expected a value");
}

bool json_at_end(struct json *j) {
    skip_space(j);
    return !j->error && j->p == j->end;
}

bool slice_is(struct slice s, const char *text) {
    return s.len == strlen(text) && memcmp(s.text, text, s.len) == 0;
}

bool json_member(const char *text, size_t len, const char *name, struct slice *value) {
    struct json j;
    struct slice key;
    json_init(&j, text, len);
    json_object(&j);
    while (json_key(&j, &key)) {
        bool found = slice_is(key, name);
        if (!json_skip(&j, value) || found) {
            return found && !j.error;
        }
    }
    return false;
}
