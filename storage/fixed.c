#include "storage/fixed.h"

#include <string.h>

#define SIGN UINT32_C(0x80000000)
#define EXPONENT_MAX 255 // not finite
#define SIGNIFICAND_BITS 23
#define HIDDEN (UINT32_C(1) << SIGNIFICAND_BITS)
#define WHOLE 32 // bits of a rest that is the value
#define FRACTION 256

static unsigned exponent_of(uint32_t v) {
    return v >> SIGNIFICAND_BITS & EXPONENT_MAX;
}

void fixed_find_tops(const uint32_t *bits, size_t rows, size_t n, unsigned char *tops) {
    for (size_t row = 0; row < rows; row++) {
        uint32_t top = 1;
        for (size_t i = row * n; i < (row + 1) * n; i++) {
            uint32_t e = exponent_of(bits[i]);
            e = e < EXPONENT_MAX ? e : 0;
            top = e > top ? e : top;
        }
        tops[row] = (unsigned char)top;
    }
}

// The integer, and how many bits of what are its rest.
static inline int32_t to_integer(uint32_t v, unsigned top, unsigned *rest_bits, uint32_t *rest) {
    unsigned e = exponent_of(v);
    if (e == 0 || e == EXPONENT_MAX || top - e > SIGNIFICAND_BITS) {
        *rest_bits = WHOLE;
        *rest = v;
        return 0;
    }
    uint32_t significand = (v & (HIDDEN - 1)) | HIDDEN;
    *rest_bits = top - e;
    *rest = significand & ((UINT32_C(1) << (top - e)) - 1);
    uint32_t sign = 0 - (v >> 31); // all ones below zero; no branch, which would be taken at random
    return (int32_t)(((significand >> (top - e)) ^ sign) - sign);
}

// Rounds down, as both gcc and clang do it.
static inline int64_t shift_down(int64_t x, unsigned shift) {
    return x >> shift;
}

static inline void follow(int64_t *mean, int32_t integer, bool is_first, unsigned shift) {
    int64_t now = (int64_t)integer * FRACTION;
    *mean = is_first ? now : *mean + shift_down(now - *mean, shift);
}

static inline uint32_t to_word(int32_t integer, int64_t mean) {
    uint32_t d = (uint32_t)(integer - (int32_t)shift_down(mean, 8));
    return d << 1 ^ (0 - (d >> 31));
}

unsigned fixed_choose_shift(const struct fixed_rows *r, const uint32_t *bits, size_t piece) {
    static const unsigned shifts[] = {0, 2, 4};
    enum { N = sizeof shifts / sizeof *shifts };
    uint64_t sums[N] = {0};
    for (size_t row = 0; row < r->rows; row++) {
        int64_t means[N] = {0};
        for (size_t i = 0; i < piece; i++) {
            unsigned rest_bits;
            uint32_t rest;
            int32_t x = to_integer(bits[row * r->n + i], r->tops[row], &rest_bits, &rest);
            for (size_t k = 0; k < N; k++) {
                sums[k] += i ? to_word(x, means[k]) : 0;
                follow(&means[k], x, i == 0, shifts[k]);
            }
        }
    }
    size_t best = 0;
    for (size_t k = 1; k < N; k++) {
        best = sums[k] < sums[best] ? k : best;
    }
    return shifts[best];
}

void fixed_count(const struct fixed_rows *r, const uint32_t *bits, size_t piece,
                 struct fixed_counts *out) {
    size_t from = piece > 1;
    *out = (struct fixed_counts){.seen = r->rows * (piece - from)};
    for (size_t row = 0; row < r->rows; row++) {
        int64_t mean = 0;
        for (size_t i = 0; i < piece; i++) {
            unsigned rest_bits;
            uint32_t rest;
            int32_t x = to_integer(bits[row * r->n + i], r->tops[row], &rest_bits, &rest);
            uint32_t word = to_word(x, mean);
            follow(&mean, x, i == 0, r->shift);
            if (i >= from) {
                out->rest_bits += rest_bits;
                out->bytes[0][word & 0xFF]++;
                out->bytes[1][word >> 8 & 0xFF]++;
                out->bytes[2][word >> 16 & 0xFF]++;
                out->bytes[3][word >> 24]++;
            }
        }
    }
}

// The bits that are still to be written, fewer than 8 between two values.
struct bit_writer {
    unsigned char *to;
    uint64_t waiting;
    unsigned n_waiting;
};

// Without a branch, which would be taken at random: eight bytes are written, those that are full
// count.
static inline void put_bits(struct bit_writer *w, uint32_t bits, unsigned n) {
    w->waiting |= (uint64_t)bits << w->n_waiting;
    w->n_waiting += n;
    memcpy(w->to, &w->waiting, sizeof w->waiting);
    w->to += w->n_waiting / 8;
    w->waiting >>= w->n_waiting & ~7u;
    w->n_waiting &= 7;
}

static inline int32_t split_one(struct bit_writer *w, uint32_t v, unsigned top) {
    unsigned rest_bits;
    uint32_t rest;
    int32_t x = to_integer(v, top, &rest_bits, &rest);
    put_bits(w, rest, rest_bits);
    return x;
}

size_t fixed_split(const struct fixed_rows *r, uint32_t *bits, unsigned char *rests) {
    struct bit_writer w = {.to = rests};
    unsigned shift = r->shift;
    for (size_t row = 0, n = r->n; row < r->rows; row++) {
        uint32_t *at = bits + row * n;
        unsigned top = r->tops[row];
        int32_t x = split_one(&w, at[0], top);
        int64_t mean = (int64_t)x * FRACTION;
        at[0] = to_word(x, 0);
        for (size_t k = 1; k < n; k++) {
            x = split_one(&w, at[k], top);
            at[k] = to_word(x, mean);
            follow(&mean, x, false, shift);
        }
    }
    return (size_t)(w.to - rests) + (w.n_waiting > 0);
}

struct rests {
    const unsigned char *p, *end;
    uint64_t ready;
    unsigned n_ready;
};

// Up to 32 bits.
static inline bool take(struct rests *r, unsigned n, uint32_t *value) {
    if (r->n_ready < n && r->end - r->p >= (ptrdiff_t)sizeof(uint32_t)) {
        uint32_t next;
        memcpy(&next, r->p, sizeof next);
        r->p += sizeof next;
        r->ready |= (uint64_t)next << r->n_ready;
        r->n_ready += 32;
    }
    while (r->n_ready < n) { // the last few
        if (r->p == r->end) {
            return false;
        }
        r->ready |= (uint64_t)*r->p++ << r->n_ready;
        r->n_ready += 8;
    }
    *value = (uint32_t)(r->ready & ((UINT64_C(1) << n) - 1));
    r->ready >>= n;
    r->n_ready -= n;
    return true;
}

static inline bool to_float(int32_t x, unsigned top, struct rests *rests, uint32_t *v) {
    if (x == 0) {
        return take(rests, WHOLE, v);
    }
    uint32_t size = (uint32_t)(x < 0 ? -x : x), rest;
    unsigned shifted = (unsigned)__builtin_clz(size) - (31 - SIGNIFICAND_BITS);
    if (top <= shifted || !take(rests, shifted, &rest)) {
        return false;
    }
    uint32_t significand = size << shifted | rest;
    *v = (x < 0 ? SIGN : 0) | (top - shifted) << SIGNIFICAND_BITS | (significand & (HIDDEN - 1));
    return true;
}

bool fixed_join(const struct fixed_rows *r, unsigned char *const planes[FIXED_PLANES],
                const unsigned char *rests, size_t size, uint32_t *bits) {
    struct rests from = {.p = rests, .end = rests + size};
    for (size_t row = 0, i = 0; row < r->rows; row++) {
        int64_t mean = 0;
        unsigned top = r->tops[row];
        if (top == 0 || top == EXPONENT_MAX) {
            return false;
        }
        for (size_t k = 0; k < r->n; k++, i++) {
            uint32_t word = (uint32_t)planes[0][i] | (uint32_t)planes[1][i] << 8 |
                            (uint32_t)planes[2][i] << 16 | (uint32_t)planes[3][i] << 24;
            int64_t x = shift_down(mean, 8) + (int32_t)(word >> 1 ^ (0 - (word & 1)));
            if (x >= 2 * (int64_t)HIDDEN || x <= -2 * (int64_t)HIDDEN ||
                !to_float((int32_t)x, top, &from, &bits[i])) {
                return false;
            }
            follow(&mean, (int32_t)x, k == 0, r->shift);
        }
    }
    return from.p == from.end && from.n_ready < 8 && from.ready == 0;
}
