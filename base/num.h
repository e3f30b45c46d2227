// Numbers as text, non-finite ones included.
//
// 'Not measured' is a NaN of its own, with the bits that the wire's frames use, so that a column of
// doubles carries all four cases (a number, an infinity, a measured NaN, not measured) without a
// second array. Only num_is_missing() can tell it from other NaNs: it compares bits.
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NUM_MISSING_BITS UINT64_C(0x7FF80000A0A70000)

static inline double num_missing(void) {
    uint64_t bits = NUM_MISSING_BITS;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline bool num_is_missing(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == NUM_MISSING_BITS;
}

// Longest text of num_format, with its terminating NUL.
#define NUM_TEXT_MAX 32

// Writes x as a JSON value and returns its length: the shortest decimal that reads back to the same
// bits, laid out like %g; "NaN", "Infinity" and "-Infinity" as quoted strings; null for not
// measured.
size_t num_format(char text[NUM_TEXT_MAX], double x);
size_t num_format_integer(char text[NUM_TEXT_MAX], int64_t x);

// Writes one end of an interval likewise, rounded outward to eight digits: an end of it that says
// more would be longer to no use. Of an interval around x the ends stay around num_format()'s x.
size_t num_format_low(char text[NUM_TEXT_MAX], double x);
size_t num_format_high(char text[NUM_TEXT_MAX], double x);

// Reads one JSON number (RFC 8259 grammar) from [text, end). Returns its length, 0 when there is
// none. Correctly rounded; what is too large for a double becomes an infinity, as strtod does.
size_t num_parse(const char *text, const char *end, double *x);

// A whole string ("12", "1e-3", "NaN", "Infinity", "-Infinity") to a double. False when it is not
// one.
bool num_parse_string(const char *text, double *x);

#endif
