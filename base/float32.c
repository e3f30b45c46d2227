#include "base/float32.h"

#include "base/num.h"

#include <float.h>
#include <math.h>
#include <string.h>

// Values looked at together: few enough to stop soon at one that does not fit, many enough to go
// through the vector unit.
#define BLOCK 64
#define SIGN UINT32_C(0x80000000)
#define NAN_EXPONENT UINT64_C(0x7FF)
#define DROPPED_BITS 29 // of a double's mantissa that a float32 does not have

static double widen_nan(uint32_t bits) {
    if (bits == FLOAT32_MISSING_BITS) {
        return num_missing();
    }
    uint64_t wide = (uint64_t)(bits & SIGN) << 32 | NAN_EXPONENT << 52 |
                    (uint64_t)(bits & UINT32_C(0x7FFFFF)) << DROPPED_BITS;
    double x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

static bool is_nan_bits(uint32_t bits) {
    return (bits & ~SIGN) > UINT32_C(0x7F800000);
}

void float32_widen(const void *bytes, size_t n, double *out) {
    const char *from = bytes;
    int nan = 0;
    for (size_t i = 0; i < n; i++) {
        float f;
        memcpy(&f, from + i * sizeof f, sizeof f);
        out[i] = (double)f;
        nan |= isnan(f);
    }
    for (size_t i = 0; nan && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i * sizeof bits, sizeof bits);
        out[i] = is_nan_bits(bits) ? widen_nan(bits) : out[i];
    }
}

// The float32 that stands for a NaN; false when its payload has bits that a float32 lacks, or when
// it would read as 'not measured'.
static bool narrow_nan(double x, uint32_t *bits) {
    uint64_t wide;
    memcpy(&wide, &x, sizeof wide);
    if (num_is_missing(x)) {
        *bits = FLOAT32_MISSING_BITS;
        return true;
    }
    *bits = (uint32_t)(wide >> 32 & SIGN) | UINT32_C(0x7F800000) |
            (uint32_t)(wide >> DROPPED_BITS & UINT32_C(0x7FFFFF));
    return (wide & ((UINT64_C(1) << DROPPED_BITS) - 1)) == 0 && *bits != FLOAT32_MISSING_BITS;
}

static bool fits(double x) {
    uint32_t bits;
    // Finite values beyond float32's range must not be converted: that is undefined.
    return isnan(x) ? narrow_nan(x, &bits)
           : isfinite(x) && fabs(x) > (double)FLT_MAX
               ? false
               : !((double)(float)x < x || (double)(float)x > x);
}

static bool block_fits(const double *values, size_t n) {
    int plain = 1;
    for (size_t i = 0; i < n; i++) {
        double x = values[i];
        double in_range = fabs(x) <= (double)FLT_MAX ? x : 0;
        plain &= (double)(float)in_range == x;
    }
    for (size_t i = 0; !plain && i < n; i++) {
        if (!fits(values[i])) {
            return false;
        }
    }
    return true;
}

bool float32_fits(const double *values, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) {
        if (!block_fits(values + i, n - i < BLOCK ? n - i : BLOCK)) {
            return false;
        }
    }
    return true;
}

void float32_narrow(const double *values, size_t n, void *bytes) {
    char *to = bytes;
    int nan = 0;
    for (size_t i = 0; i < n; i++) {
        float f = (float)values[i];
        memcpy(to + i * sizeof f, &f, sizeof f);
        nan |= isnan(values[i]);
    }
    for (size_t i = 0; nan && i < n; i++) {
        uint32_t bits;
        if (isnan(values[i])) {
            narrow_nan(values[i], &bits);
            memcpy(to + i * sizeof bits, &bits, sizeof bits);
        }
    }
}
