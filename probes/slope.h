// Straight lines through a few points: least squares, Theil-Sen, and an exponentially weighted
// slope.
#ifndef PROBES_SLOPE_H
#define PROBES_SLOPE_H

#include <stdbool.h>
#include <stddef.h>

// Ordinary least squares of y on x. False when the x are all the same or there are fewer than two.
bool slope_least_squares(const double *x, const double *y, size_t n, double *slope,
                         double *intercept);

#define SLOPE_POINTS_MAX 64

struct theil_sen {
    double slope, low, high; // the median of the pairwise slopes and Sen's 95% interval
};

// Pairs whose |x| differ by no more than min_dx are left out. False when no pair is left or n is
// larger than SLOPE_POINTS_MAX. Uses 16 KiB of stack; O(n^2 log n).
bool slope_theil_sen(const double *x, const double *y, size_t n, double min_dx,
                     struct theil_sen *out);

// Online slope of y on x with exponential forgetting. Zero it before the first point.
struct ew_slope {
    double x, y, covariance, variance;
    bool started;
};

void ew_slope_add(struct ew_slope *s, double alpha, double x, double y);

#endif
