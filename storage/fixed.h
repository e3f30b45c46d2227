// Predictor 3 of chunks (storage/codec.h): a row of floats as fixed-point numbers, each stored as
// its distance from the mean of those before it.
//
// A row's `top` is the greatest biased exponent of its finite values, at least 1. A normal value
// with exponent e and significand M (24 bits, the hidden one included) is the integer M >> (top -
// e) with the value's sign, where top - e < 24; the bits that are shifted out are its rest. Any
// other value (zero, denormal, far below the others, not finite) is the integer 0 and its rest are
// its 32 bits. So each value has as many bits as it is precise, whatever its exponent and whether
// the row crosses zero.
//
//   word  zigzag(I - (m >> 8)), where I is the integer and m the mean of those before it in the
//         row, in 256ths: m is 256 I behind the first, then m += (256 I - m) >> shift, both shifts
//         rounding down; 0 before the first
//   rests one behind the other, the lowest bit first, filled up to a byte with zeros
#ifndef STORAGE_FIXED_H
#define STORAGE_FIXED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIXED_SHIFT_MAX 8
#define FIXED_PLANES 4
// More than the rests of n values can take.
#define FIXED_REST_BYTES(n) (sizeof(uint32_t) * (n) + sizeof(uint64_t))

struct fixed_rows {
    size_t rows, n;
    const unsigned char *tops; // a row
    unsigned shift;
};

// `bits`: of the floats.
void fixed_find_tops(const uint32_t *bits, size_t rows, size_t n, unsigned char *tops);
// The shift with the smallest words, judged by the first `piece` values of each row.
unsigned fixed_choose_shift(const struct fixed_rows *r, const uint32_t *bits, size_t piece);
// What these values' words would take: how often each byte is in each plane, and the bits of their
// rests. A row's first word, which stands for itself, is left out where there are others.
struct fixed_counts {
    uint32_t bytes[FIXED_PLANES][256];
    size_t seen, rest_bits;
};
void fixed_count(const struct fixed_rows *r, const uint32_t *bits, size_t piece,
                 struct fixed_counts *out);
// Puts each value's word in the place of its bits, and writes the rests, up to FIXED_REST_BYTES.
// Returns the bytes of these.
size_t fixed_split(const struct fixed_rows *r, uint32_t *bits, unsigned char *rests);
// Back again. False when the bytes are not of that shape.
bool fixed_join(const struct fixed_rows *r, unsigned char *const planes[FIXED_PLANES],
                const unsigned char *rests, size_t size, uint32_t *bits);

#endif
