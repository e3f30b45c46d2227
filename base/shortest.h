// The shortest decimal that reads back to the same double; of several so short the one nearest to
// it. By Schubfach (Raffaello Giulietti, The Schubfach way to render doubles, 2020): three products
// of 64 by 128 bits, no loop over digits.
#ifndef BASE_SHORTEST_H
#define BASE_SHORTEST_H

#include <stdint.h>

struct shortest {
    uint64_t digits; // at most 17, not ending in 0
    int exponent;    // of ten: the number is digits * 10^exponent
};

// x is finite and above 0.
struct shortest shortest_decimal(double x);

#endif
