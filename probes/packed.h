// Doubles in six bytes: the same range, 37 significant bits (a relative error of at most 4e-12),
// infinities and NaNs as they are, 'not measured' bit for bit. For what is kept many times over.
#ifndef PROBES_PACKED_H
#define PROBES_PACKED_H

#include <stdint.h>
#include <string.h>

struct packed {
    uint16_t part[3]; // the lowest first
};

// Rounds half up; x is an average of finite figures or NaN, so the carry never leaves the exponent.
static inline struct packed packed_from(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += x - x < 1 ? UINT64_C(0x8000) : 0; // not where x is no number
    return (struct packed){
        {(uint16_t)(bits >> 16), (uint16_t)(bits >> 32), (uint16_t)(bits >> 48)}};
}

static inline double packed_value(struct packed p) {
    uint64_t bits =
        (uint64_t)p.part[0] << 16 | (uint64_t)p.part[1] << 32 | (uint64_t)p.part[2] << 48;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
