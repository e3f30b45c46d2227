// Sums over a layer's weights, gradient and updates, of float arrays, in one pass and in double.
//
// The Python client is built with this file as well: clients/python/pyrometer has a link to it.
#ifndef CLIENTS_C_MOMENTS_H
#define CLIENTS_C_MOMENTS_H

#include <stdbool.h>
#include <stddef.h>

// As many elements of each. An update is the difference of two arrays. NULL: zeros.
struct pyr_values {
    const float *weights, *gradient;
    const float *after, *before;           // the update
    const float *prev_after, *prev_before; // the update before
};

// Zeroed: of no elements.
struct pyr_moments {
    double n;
    // Squares are of what exceeds the origin, the first element: of equal ones, and beside a large
    // mean, little else would be left of them than their rounding.
    struct pyr_sums {
        double origin, sum, squares;
    } w, u, g;
    double gw, gu, gu_prev;
    double w_min, w_max; // NaN where a weight is
};

// Adds n elements. Without extremes w_min and w_max tell nothing.
void pyr_moments_add(struct pyr_moments *moments, const struct pyr_values *values, size_t n,
                     bool with_extremes);

// NaN of no elements.
double pyr_moments_mean(const struct pyr_moments *moments, const struct pyr_sums *of);

double pyr_moments_variance(const struct pyr_moments *moments, const struct pyr_sums *of);

#endif
