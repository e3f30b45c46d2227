#include "cli/series.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum { NUMBER_MAX = 63 };

// A number at *at, without what strtod would also take (hexadecimal: "0x50" is 0, fifty times).
static bool take_number(const char **at, double *x) {
    char text[NUMBER_MAX + 1];
    const char *p = *at + (**at == '-' || **at == '+');
    size_t sign = (size_t)(p - *at);
    if (strncasecmp(p, "inf", 3) == 0 || strncasecmp(p, "nan", 3) == 0) {
        *x = tolower((unsigned char)*p) == 'n' ? (double)NAN : (double)INFINITY;
        *x = **at == '-' ? -*x : *x;
        *at = p + 3;
        return true;
    }
    p += strspn(p, "0123456789.");
    if (*p == 'e' || *p == 'E') {
        const char *digits = p + 1 + (p[1] == '-' || p[1] == '+');
        p = isdigit((unsigned char)*digits) ? digits + strspn(digits, "0123456789") : p;
    }
    size_t len = (size_t)(p - *at);
    if (len == sign || len > NUMBER_MAX) {
        return false;
    }
    memcpy(text, *at, len);
    text[len] = '\0';
    char *end;
    *x = strtod(text, &end);
    *at = p;
    return *end == '\0';
}

static bool take_count(const char **at, size_t *n) {
    *n = 0;
    const char *p = *at;
    while (isdigit((unsigned char)*p) && *n <= SERIES_MAX) {
        *n = *n * 10 + (size_t)(*p++ - '0');
    }
    bool good = p > *at;
    *at = p;
    return good;
}

// One word: `count` values from `first` on, each `slope` above the one before.
struct word {
    double first, slope, noise;
    size_t count;
};

static bool take_word(const char **at, struct word *w) {
    *w = (struct word){.count = 1};
    if (**at == '_') {
        w->first = num_missing();
        ++*at;
        return **at != 'x' || (++*at, take_count(at, &w->count));
    }
    if (!take_number(at, &w->first)) {
        return false;
    }
    bool has_slope = **at == '+' || **at == '-';
    if (has_slope && !take_number(at, &w->slope)) {
        return false;
    }
    if (**at == '~') {
        ++*at;
        if (!take_number(at, &w->noise)) {
            return false;
        }
    }
    if (**at != 'x') {
        return !has_slope;
    }
    ++*at;
    bool good = take_count(at, &w->count);
    w->count++;
    return good;
}

// SplitMix64 and Box-Muller: the same noise on every machine.
static double uniform(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53 + 0x1p-54;
}

static double normal(uint64_t *state) {
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

static void put_word(const struct word *w, uint64_t *state, double *to) {
    for (size_t i = 0; i < w->count; i++) {
        to[i] = w->first;
        if (w->slope != 0 || w->noise > 0) { // else 'not measured' stays what it is
            double noise = w->noise > 0 ? w->noise * normal(state) : 0;
            to[i] += w->slope * (double)i + noise;
        }
    }
}

int series_expand(const char *text, uint64_t seed, double **values, size_t *n,
                  struct buf *message) {
    double *all = NULL;
    size_t total = 0;
    for (const char *at = text + strspn(text, " \t\n"); *at; at += strspn(at, " \t\n")) {
        const char *begin = at;
        struct word w;
        if (!take_word(&at, &w) || !strchr(" \t\n", *at)) {
            buf_printf(message, "'%.60s' is no number; expected such as 2.5, 1+0.5x10, 9x3 or _x5",
                       begin);
            free(all);
            return -1;
        }
        if (w.count > SERIES_MAX - total) {
            buf_printf(message, "has too many values; expected at most %d", SERIES_MAX);
            free(all);
            return -1;
        }
        double *more = realloc(all, (total + w.count + 1) * sizeof *all);
        CHECK(more != NULL);
        all = more;
        put_word(&w, &seed, all + total);
        total += w.count;
    }
    *values = all;
    *n = total;
    return 0;
}
