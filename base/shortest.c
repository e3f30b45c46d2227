#include "base/shortest.h"

#include "base/powers.h" // written by scripts/powers.py

#include <stdbool.h>
#include <string.h>

#define FRACTION_BITS 52
#define EXPONENT_BIAS (1023 + FRACTION_BITS)

// floor(log10(2^e)), or of 3/4 * 2^e; floor(log2(10^e)). Exact for all e of a double (section 9.9
// of the paper's constants, with fewer bits).
static int floor_log10_pow2(int e, bool three_quarters) {
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

static int floor_log2_pow10(int e) {
    return (e * 1741647) >> 19;
}

// The upper 64 bits of power * factor / 2^64; the last bit is set where anything of the rest is.
static uint64_t multiply(const struct power *power, uint64_t factor) {
    unsigned __int128 low = (unsigned __int128)power->low * factor;
    unsigned __int128 high = (unsigned __int128)power->high * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

// Of the decimals of `digits` and one more as their last place the one that lies in the interval;
// false when neither or both do.
static bool choose(uint64_t digits, uint64_t scale, uint64_t lower, uint64_t upper,
                   uint64_t *chosen) {
    bool below = lower <= digits * scale, above = digits * scale + scale <= upper;
    *chosen = digits + above;
    return below != above;
}

// x = c * 2^q. Its neighbours lie half a unit away, below a power of two a quarter.
static struct shortest find(uint64_t c, int q, bool lower_is_closer) {
    int k = floor_log10_pow2(q, lower_is_closer);
    int shift = q + floor_log2_pow10(-k) + 1;
    const struct power *power = &powers[-k - POWERS_LEAST];
    // Ends of the interval that reads as x, in quarters of 10^k; they belong to it where c is even.
    uint64_t odd = c & 1;
    uint64_t lower = multiply(power, (4 * c - 2 + lower_is_closer) << shift) + odd;
    uint64_t middle = multiply(power, (4 * c) << shift);
    uint64_t upper = multiply(power, (4 * c + 2) << shift) - odd;
    uint64_t digits = middle / 4, chosen;
    if (digits >= 10 && choose(digits / 10, 40, lower, upper, &chosen)) {
        return (struct shortest){chosen, k + 1};
    }
    if (choose(digits, 4, lower, upper, &chosen)) {
        return (struct shortest){chosen, k};
    }
    uint64_t half = 4 * digits + 2;
    bool up = middle > half || (middle == half && (digits & 1));
    return (struct shortest){digits + up, k};
}

static struct shortest without_zeros(struct shortest s) {
    while (s.digits % 100 == 0) {
        s.digits /= 100;
        s.exponent += 2;
    }
    if (s.digits % 10 == 0) {
        s.digits /= 10;
        s.exponent++;
    }
    return s;
}

struct shortest shortest_decimal(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
    int exponent = (int)(bits >> FRACTION_BITS & 0x7FF);
    if (exponent == 0) {
        return without_zeros(find(fraction, 1 - EXPONENT_BIAS, false));
    }
    uint64_t c = fraction | UINT64_C(1) << FRACTION_BITS;
    return without_zeros(find(c, exponent - EXPONENT_BIAS, fraction == 0 && exponent > 1));
}
