#include "base/num.h"

#include "base/memory.h"
#include "base/shortest.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536"
    "37383940414243444546474849505152535455565758596061626364656667686970717273"
    "7475767778798081828384858687888990919293949596979899";

// Without a terminating NUL.
static size_t put_digits(char *text, uint64_t x) {
    char backwards[20];
    size_t n = 0;
    for (; x >= 100; x /= 100) {
        const char *pair = pairs + 2 * (x % 100);
        backwards[n++] = pair[1];
        backwards[n++] = pair[0];
    }
    backwards[n++] = pairs[2 * x + 1];
    if (x >= 10) {
        backwards[n++] = pairs[2 * x];
    }
    for (size_t i = 0; i < n; i++) {
        text[i] = backwards[n - 1 - i];
    }
    return n;
}

size_t num_format_integer(char text[NUM_TEXT_MAX], int64_t x) {
    size_t sign = x < 0;
    text[0] = '-';
    size_t n = sign + put_digits(text + sign, x < 0 ? -(uint64_t)x : (uint64_t)x);
    text[n] = '\0';
    return n;
}

// Moves what begins at text to make room for n characters.
static char *insert(char *text, size_t len, size_t n) {
    memmove(text + n, text, len);
    return text;
}

// d.ddde+XX of n digits.
static size_t put_exponent(char *text, size_t n, int exponent) {
    if (n > 1) {
        *insert(text + 1, n - 1, 1) = '.';
        n++;
    }
    unsigned size = (unsigned)abs(exponent);
    text[n++] = 'e';
    text[n++] = exponent < 0 ? '-' : '+';
    text[n] = '0';
    return n + (size < 10) + put_digits(text + n + (size < 10), size);
}

// The digits' point goes behind the first 1 + exponent of them, as %g would have it.
static size_t place_point(char *text, size_t n, int exponent) {
    int precision = n > 15 ? (int)n : 15;
    if (exponent < -4 || exponent >= precision) {
        return put_exponent(text, n, exponent);
    }
    if (exponent < 0) {
        size_t zeros = (size_t)-exponent; // the one before the point among them
        memset(insert(text, n, zeros + 1), '0', zeros + 1);
        text[1] = '.';
        return n + zeros + 1;
    }
    size_t before = (size_t)exponent + 1;
    if (n > before) {
        *insert(text + before, n - before, 1) = '.';
        return n + 1;
    }
    memset(text + n, '0', before - n);
    return before;
}

static size_t put_decimal(char *text, double x) {
    size_t sign = x < 0;
    text[0] = '-';
    struct shortest s = shortest_decimal(fabs(x));
    size_t n = put_digits(text + sign, s.digits);
    n = sign + place_point(text + sign, n, s.exponent + (int)n - 1);
    text[n] = '\0';
    return n;
}

static size_t put_word(char text[NUM_TEXT_MAX], const char *word) {
    size_t n = strlen(word);
    memcpy(text, word, n + 1);
    return n;
}

size_t num_format(char text[NUM_TEXT_MAX], double x) {
    if (num_is_missing(x)) {
        return put_word(text, "null");
    }
    if (isnan(x)) {
        return put_word(text, "\"NaN\"");
    }
    if (isinf(x)) {
        return put_word(text, x > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    }
    if (x == 0 && signbit(x)) {
        return put_word(text, "-0.0"); // readers take -0 for the integer 0
    }
    if (x == floor(x) && fabs(x) < 1e15) {
        return num_format_integer(text, (int64_t)x);
    }
    return put_decimal(text, x);
}

#define BOUND_MAX 1e300 // so that eight digits are still below the largest double

// The C library rounds decimals as the thread rounds.
static size_t format_bound(char text[NUM_TEXT_MAX], double x, int direction) {
    if (!isfinite(x) || x == floor(x) || fabs(x) > BOUND_MAX) {
        return num_format(text, x);
    }
    int before = fegetround();
    fesetround(direction);
    int n = snprintf(text, NUM_TEXT_MAX, "%.8g", x);
    fesetround(before);
    return (size_t)n;
}

size_t num_format_low(char text[NUM_TEXT_MAX], double x) {
    return format_bound(text, x, FE_DOWNWARD);
}

size_t num_format_high(char text[NUM_TEXT_MAX], double x) {
    return format_bound(text, x, FE_UPWARD);
}

// The powers of ten that a double holds exactly. A decimal of at most 2^53 times or divided by one
// of them is correctly rounded by a single operation (Clinger 1990); everything else goes to
// strtod.
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(const char *p, const char *end) {
    return p < end && *p >= '0' && *p <= '9';
}

struct decimal {
    uint64_t mantissa; // its first digits; above 2^53 when there are more
    int exponent;      // of ten
    bool negative;
};

static const char *scan_digits(const char *p, const char *end, struct decimal *d, int shift) {
    for (; is_digit(p, end); p++) {
        if (d->mantissa < UINT64_C(100000000000000000)) {
            d->mantissa = d->mantissa * 10 + (uint64_t)(*p - '0');
            d->exponent += shift;
        } else {
            d->exponent += shift + 1;
        }
    }
    return p;
}

static const char *scan_exponent(const char *p, const char *end, struct decimal *d) {
    if (p == end || (*p != 'e' && *p != 'E')) {
        return p;
    }
    p++;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }
    if (!is_digit(p, end)) {
        return NULL;
    }
    int e = 0;
    for (; is_digit(p, end); p++) {
        e = e < 100000 ? e * 10 + (*p - '0') : e;
    }
    d->exponent += negative ? -e : e;
    return p;
}

// The text may lie in a network buffer without a NUL behind it, hence the copy.
static double parse_slowly(const char *text, size_t n) {
    char local[128];
    if (n < sizeof local) {
        memcpy(local, text, n);
        local[n] = '\0';
        return strtod(local, NULL);
    }
    char *heap = must_alloc(n + 1); // as long as one message at most
    memcpy(heap, text, n);
    heap[n] = '\0';
    double x = strtod(heap, NULL);
    free(heap);
    return x;
}

// The end of the number that begins at p, or NULL when there is none (RFC 8259, section 6).
static const char *scan_number(const char *p, const char *end, struct decimal *d) {
    if (p < end && *p == '-') {
        d->negative = true;
        p++;
    }
    if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end))) {
        return NULL;
    }
    p = scan_digits(p, end, d, 0);
    if (p < end && *p == '.') {
        if (!is_digit(p + 1, end)) {
            return NULL;
        }
        p = scan_digits(p + 1, end, d, -1);
    }
    return scan_exponent(p, end, d);
}

size_t num_parse(const char *text, const char *end, double *x) {
    struct decimal d = {0};
    const char *p = scan_number(text, end, &d);
    if (!p) {
        return 0;
    }
    size_t n = (size_t)(p - text);
    if (d.mantissa <= (UINT64_C(1) << 53) && d.exponent >= -22 && d.exponent <= 22) {
        double m = (double)d.mantissa;
        m = d.exponent < 0 ? m / exact_powers[-d.exponent] : m * exact_powers[d.exponent];
        *x = d.negative ? -m : m;
    } else {
        *x = parse_slowly(text, n);
    }
    return n;
}

bool num_parse_string(const char *text, double *x) {
    size_t n = strlen(text);
    if (strcmp(text, "NaN") == 0) {
        *x = (double)NAN;
    } else if (strcmp(text, "Infinity") == 0) {
        *x = (double)INFINITY;
    } else if (strcmp(text, "-Infinity") == 0) {
        *x = -(double)INFINITY;
    } else {
        return n > 0 && num_parse(text, text + n, x) == n;
    }
    return true;
}
