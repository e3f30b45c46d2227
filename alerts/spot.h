// A threshold from the data's own tail: peaks over threshold with a generalised Pareto fit (SPOT,
// Siffer et al. 2017 [L], theory 6.5), by the method of moments. For scores whose tail is unknown:
// it answers above which value one in 1/q values lies. Flat; zero it before use.
#ifndef ALERTS_SPOT_H
#define ALERTS_SPOT_H

#include <stdbool.h>
#include <stdint.h>

#define SPOT_LEARN 256  // values before it answers
#define SPOT_LEVEL 0.98 // the quantile over which values are peaks
#define SPOT_MARKERS 5

struct spot {
    double height[SPOT_MARKERS]; // of the quantile's estimate (Jain and Chlamtac's P2)
    double place[SPOT_MARKERS];
    double sum, squares; // of the peaks' excesses
    double peaks;        // how many
    double count;
};

void spot_add(struct spot *s, double x);
bool spot_is_known(const struct spot *s);
// Of all values; -INFINITY before there are a few.
double spot_largest(const struct spot *s);
// The value that one in 1/q values exceeds. Valid when known.
double spot_threshold(const struct spot *s, double q);

// The parts, for those who have the moments: mean m and variance v of the excesses give shape and
// scale (valid for shape < 1/2); t, how many of n values were over it, and q give the quantile.
void spot_fit(double m, double v, double *shape, double *scale);
double spot_quantile(double t, double shape, double scale, double n, double n_over, double q);

#endif
