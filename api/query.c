#include "api/query.h"

#include "wire/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 64 // bytes of a bad value that an error repeats

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool percent_decode(char *text, bool plus_is_space) {
    char *to = text;
    for (const char *p = text; *p; p++) {
        char c = *p;
        if (c == '%') {
            int high = hex_digit(p[1]);
            int low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            c = (char)(high * 16 + low);
            p += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    size_t bad;
    return utf8_valid(text, strlen(text), &bad);
}

// Cursors are numbers in a base and with a lead of their own, so that nobody computes with them.
#define CURSOR_LEAD 'p'
#define CURSOR_BASE 36

void cursor_emit(struct emit *e, bool has_next, int64_t place) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char text[16] = "";
    size_t at = sizeof text - 1;
    do {
        text[--at] = digits[place % CURSOR_BASE];
        place /= CURSOR_BASE;
    } while (place > 0);
    text[--at] = CURSOR_LEAD;
    emit_text(e, "next_cursor", has_next ? text + at : NULL);
}

static bool read_cursor(const char *text, int64_t *place) {
    size_t len = strlen(text);
    if (text[0] != CURSOR_LEAD || len < 2 || len > 13 ||
        strspn(text + 1, "0123456789abcdefghijklmnopqrstuvwxyz") != len - 1) {
        return false;
    }
    *place = strtoll(text + 1, NULL, CURSOR_BASE);
    return true;
}

static bool read_integer(const char *text, int64_t *x) {
    const char *digits = text + (*text == '-');
    char *end;
    errno = 0;
    *x = strtoll(text, &end, 10);
    return *digits >= '0' && *digits <= '9' && *end == '\0' && errno == 0;
}

static bool read_choice(const struct parameter *p, const char *text, int64_t *index) {
    for (*index = 0; p->choices[*index]; ++*index) {
        if (strcmp(p->choices[*index], text) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_value(const struct parameter *p, const char *text, int64_t *number) {
    switch (p->kind) {
    case PARAMETER_INTEGER:
        return read_integer(text, number) && *number >= p->min && *number <= p->max;
    case PARAMETER_CHOICE:
        return read_choice(p, text, number);
    case PARAMETER_CURSOR:
        return read_cursor(text, number);
    case PARAMETER_TEXT:
    case PARAMETER_TEXTS:
    case PARAMETER_LIST:
        break;
    }
    return *text != '\0';
}

static void print_expected(const struct parameter *p, struct buf *out) {
    switch (p->kind) {
    case PARAMETER_INTEGER:
        buf_printf(out, "a whole number from %" PRId64 " to %" PRId64, p->min, p->max);
        return;
    case PARAMETER_CHOICE:
        buf_puts(out, "one of");
        for (size_t i = 0; p->choices[i]; i++) {
            buf_printf(out, "%s %s", i ? "," : "", p->choices[i]);
        }
        return;
    case PARAMETER_CURSOR:
        buf_puts(out, "the next_cursor of an earlier answer");
        return;
    case PARAMETER_TEXT:
    case PARAMETER_TEXTS:
    case PARAMETER_LIST:
        buf_puts(out, "a text that is not empty");
    }
}

static int fail_value(const struct parameter *p, const char *got, struct buf *problem) {
    size_t len = strlen(got), shown = len < SHOWN_MAX ? len : SHOWN_MAX;
    while (shown < len && ((unsigned char)got[shown] & 0xC0) == 0x80) {
        shown--; // not within a character
    }
    buf_printf(problem, "%s is \"%.*s%s\"; expected ", p->name, (int)shown, got,
               shown < len ? "..." : "");
    print_expected(p, problem);
    return -1;
}

static const struct parameter *find_parameter(const struct parameter *parameters,
                                              const char *name) {
    for (const struct parameter *p = parameters; p && p->name; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

static int fail_name(const struct parameter *parameters, const char *name, struct buf *problem) {
    buf_printf(problem, "there is no parameter \"%.*s\"; this call takes ", SHOWN_MAX, name);
    if (!parameters || !parameters->name) {
        buf_puts(problem, "none");
    }
    for (const struct parameter *p = parameters; p && p->name; p++) {
        buf_printf(problem, "%s%s", p == parameters ? "" : ", ", p->name);
    }
    return -1;
}

static int add(struct query *q, const struct parameter *p, const char *text, struct buf *problem) {
    // As many as fit into an address, whose length is bounded.
    q->arguments = must_grow(q->arguments, (q->n + 1) * sizeof *q->arguments);
    struct argument a = {.parameter = p};
    if (!read_value(p, text, &a.number)) {
        return fail_value(p, text, problem);
    }
    a.text = must_copy(text);
    q->arguments[q->n++] = a;
    return 0;
}

static int add_list(struct query *q, const struct parameter *p, char *text, struct buf *problem) {
    char *piece;
    while ((piece = strsep(&text, ","))) {
        if (add(q, p, piece, problem)) {
            return -1;
        }
    }
    return 0;
}

static int read_pair(struct query *q, char *pair, const struct parameter *parameters,
                     struct buf *problem) {
    char *value = strchr(pair, '=');
    if (value) {
        *value++ = '\0';
    }
    if (!percent_decode(pair, true)) {
        buf_puts(problem, "a parameter's name is not UTF-8 in percent-encoding");
        return -1;
    }
    const struct parameter *p = find_parameter(parameters, pair);
    if (!p) {
        return fail_name(parameters, pair, problem);
    }
    if (value && !percent_decode(value, true)) {
        buf_printf(problem, "%s is not UTF-8 in percent-encoding", p->name);
        return -1;
    }
    bool repeatable = p->kind == PARAMETER_LIST || p->kind == PARAMETER_TEXTS;
    if (!repeatable && query_text(q, p->name)) {
        buf_printf(problem, "%s is there twice; expected once", p->name);
        return -1;
    }
    char none[1] = "";
    return p->kind == PARAMETER_LIST ? add_list(q, p, value ? value : none, problem)
                                     : add(q, p, value ? value : none, problem);
}

int query_read(struct query *q, const char *text, const struct parameter *parameters,
               struct buf *problem) {
    *q = (struct query){0};
    char *copy = must_copy(text ? text : "");
    char *rest = copy, *pair;
    int rc = 0;
    while (rc == 0 && (pair = strsep(&rest, "&"))) {
        rc = *pair ? read_pair(q, pair, parameters, problem) : 0;
    }
    free(copy);
    if (rc) {
        query_free(q);
    }
    return rc;
}

void query_free(struct query *q) {
    for (size_t i = 0; i < q->n; i++) {
        free(q->arguments[i].text);
    }
    free(q->arguments);
    *q = (struct query){0};
}

const char *query_next(const struct query *q, const char *name, size_t *at) {
    while (*at < q->n) {
        const struct argument *a = &q->arguments[(*at)++];
        if (strcmp(a->parameter->name, name) == 0) {
            return a->text;
        }
    }
    return NULL;
}

const char *query_text(const struct query *q, const char *name) {
    size_t at = 0;
    return query_next(q, name, &at);
}

int64_t query_number(const struct query *q, const char *name, int64_t fallback) {
    for (size_t i = 0; i < q->n; i++) {
        if (strcmp(q->arguments[i].parameter->name, name) == 0) {
            return q->arguments[i].number;
        }
    }
    return fallback;
}
