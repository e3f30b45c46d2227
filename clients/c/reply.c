// A reader of one JSON object, as small as the daemon's four messages need: strings, integers and
// `true` are taken by key, every other value is stepped over. It accepts some texts that are not
// JSON; it never reads beyond the line, however broken the line is.
#include "clients/c/reply.h"

#include <string.h>

enum { DEPTH_MAX = 16 };

struct reader {
    const char *at, *end;
};

static void skip_space(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')) {
        r->at++;
    }
}

static bool skip_char(struct reader *r, char c) {
    skip_space(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static char unescape(char c) {
    switch (c) {
    case 'n':
    case 'r':
    case 't':
    case 'b':
    case 'f':
        return ' ';
    default:
        return c;
    }
}

// Reads a string; its text, cut to size, goes to out. An escaped code point becomes a question
// mark: the words are for people and in ASCII.
static bool read_string(struct reader *r, char *out, size_t size) {
    size_t n = 0;
    if (!skip_char(r, '"')) {
        return false;
    }
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == '\\' && r->at < r->end) {
            c = unescape(*r->at++);
            if (c == 'u') {
                c = '?';
                r->at += r->end - r->at < 4 ? r->end - r->at : 4;
            }
        }
        if (n + 1 < size) {
            out[n++] = c;
        }
    }
    out[n] = '\0';
    return skip_char(r, '"');
}

static bool read_integer(struct reader *r, int64_t *out) {
    skip_space(r);
    bool negative = r->at < r->end && *r->at == '-';
    r->at += negative;
    int64_t x = 0;
    const char *first = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        if (x > (INT64_MAX - 9) / 10) {
            return false;
        }
        x = x * 10 + (*r->at - '0');
    }
    *out = negative ? -x : x;
    return r->at > first;
}

// Steps over a value of any kind.
static bool skip_value(struct reader *r) {
    int depth = 0;
    char unused[2];
    do {
        skip_space(r);
        if (r->at == r->end) {
            return false;
        }
        char c = *r->at;
        if (c == '"') {
            if (!read_string(r, unused, sizeof unused)) {
                return false;
            }
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        r->at++;
        if (depth == 0 && c != '}' && c != ']') {
            while (r->at < r->end && !strchr(",}] \t", *r->at)) {
                r->at++;
            }
        }
    } while (depth > 0 && depth <= DEPTH_MAX);
    return depth == 0;
}

static bool read_member(struct reader *r, const char *key, struct pyr_reply *reply) {
    if (strcmp(key, "type") == 0) {
        return read_string(r, reply->type, sizeof reply->type);
    }
    if (strcmp(key, "code") == 0) {
        return read_string(r, reply->code, sizeof reply->code);
    }
    if (strcmp(key, "message") == 0) {
        return read_string(r, reply->message, sizeof reply->message);
    }
    if (strcmp(key, "step") == 0) {
        return read_integer(r, &reply->step);
    }
    if (strcmp(key, "last_step") == 0) {
        return read_integer(r, &reply->last_step);
    }
    if (strcmp(key, "line") == 0) {
        return read_integer(r, &reply->line);
    }
    if (strcmp(key, "frames") == 0) {
        return read_integer(r, &reply->frames);
    }
    if (strcmp(key, "fatal") == 0) {
        skip_space(r);
        reply->fatal = r->at < r->end && *r->at == 't';
    }
    if (strcmp(key, "stored") == 0) {
        skip_space(r);
        reply->unstored = r->at < r->end && *r->at == 'f';
    }
    return skip_value(r);
}

bool pyr_reply_parse(struct pyr_reply *reply, const char *text, size_t n) {
    struct reader r = {text, text + n};
    *reply = (struct pyr_reply){
        .step = INT64_MIN, .last_step = INT64_MIN, .line = INT64_MIN, .frames = INT64_MIN};
    if (!skip_char(&r, '{')) {
        return false;
    }
    do {
        char key[PYR_REPLY_WORD_MAX];
        if (!read_string(&r, key, sizeof key) || !skip_char(&r, ':') ||
            !read_member(&r, key, reply)) {
            return false;
        }
    } while (skip_char(&r, ','));
    return skip_char(&r, '}') && reply->type[0] != '\0';
}
