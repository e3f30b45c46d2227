#include "clients/c/text.h"

#include "clients/c/pyrometer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 1024, NUMBER_MAX = 32 };

static bool reserve(struct pyr_text *t, size_t more) {
    if (t->failed || more > SIZE_MAX / 4 - t->length) {
        t->failed = true;
        return false;
    }
    size_t wanted = t->length + more;
    if (wanted <= t->capacity) {
        return true;
    }
    size_t capacity = t->capacity ? t->capacity : FIRST_CAPACITY;
    while (capacity < wanted) {
        capacity *= 2;
    }
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void pyr_text_free(struct pyr_text *t) {
    free(t->data);
    *t = (struct pyr_text){0};
}

void pyr_text_add(struct pyr_text *t, const char *bytes, size_t n) {
    if (n > 0 && reserve(t, n)) {
        memcpy(t->data + t->length, bytes, n);
        t->length += n;
    }
}

void pyr_text_literal(struct pyr_text *t, const char *text) {
    pyr_text_add(t, text, strlen(text));
}

void pyr_text_string(struct pyr_text *t, const char *text) {
    pyr_text_literal(t, "\"");
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        char escape[8];
        if (c == '"' || c == '\\') {
            int n = snprintf(escape, sizeof escape, "\\%c", c);
            pyr_text_add(t, escape, (size_t)n);
        } else if (c < 0x20) {
            int n = snprintf(escape, sizeof escape, "\\u%04x", c);
            pyr_text_add(t, escape, (size_t)n);
        } else {
            pyr_text_add(t, p, 1);
        }
    }
    pyr_text_literal(t, "\"");
}

void pyr_text_integer(struct pyr_text *t, int64_t x) {
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof text, "%" PRId64, x);
    pyr_text_add(t, text, (size_t)n);
}

void pyr_text_microseconds(struct pyr_text *t, int64_t us) {
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof text, "%" PRId64 ".%06d", us / 1000000, (int)(us % 1000000));
    pyr_text_add(t, text, (size_t)n);
}

void pyr_text_unsigned(struct pyr_text *t, uint64_t x) {
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof text, "%" PRIu64, x);
    pyr_text_add(t, text, (size_t)n);
}

static void finite_number(struct pyr_text *t, double x) {
    char text[NUMBER_MAX];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, x);
        if (digits == 17 || strtod(text, NULL) == x) {
            break;
        }
    }
    pyr_text_add(t, text, (size_t)n);
}

void pyr_text_number(struct pyr_text *t, double x) {
    if (!pyrometer_is_measured(x)) {
        pyr_text_literal(t, "null");
    } else if (isnan(x)) {
        pyr_text_literal(t, "\"NaN\"");
    } else if (isinf(x)) {
        pyr_text_literal(t, x > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else {
        finite_number(t, x);
    }
}

void pyr_text_key(struct pyr_text *t, const char *key) {
    if (t->length > 0 && !t->failed && t->data[t->length - 1] != '{') {
        pyr_text_literal(t, ",");
    }
    pyr_text_string(t, key);
    pyr_text_literal(t, ":");
}
