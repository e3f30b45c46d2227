// Fieller's 95% interval of a ratio a/b of two noisy numbers.
#ifndef PROBES_FIELLER_H
#define PROBES_FIELLER_H

#include <stdbool.h>

// se_a, se_b: standard errors; cov: their covariance. False when b is not significantly different
// from zero, so that the set of compatible ratios has no bounds; low and high are then untouched.
bool fieller_interval(double a, double se_a, double b, double se_b, double cov, double *low,
                      double *high);

#endif
