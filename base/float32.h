// Columns of float32, as frames and the store have them, to columns of double and back, bit for
// bit: a NaN keeps its payload and its signalling bit, which a conversion by the processor would
// not, and 'not measured' is FLOAT32_MISSING_BITS. The bytes need no alignment.
#ifndef BASE_FLOAT32_H
#define BASE_FLOAT32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOAT32_MISSING_BITS UINT32_C(0x7FC0A0A7)

// n values of 4 bytes each at `bytes`.
void float32_widen(const void *bytes, size_t n, double *out);
// Whether every value is a float32 exactly.
bool float32_fits(const double *values, size_t n);
// Writes 4 bytes a value; the values must fit.
void float32_narrow(const double *values, size_t n, void *bytes);

#endif
