// Exponentially weighted averages, started at their first value. The numerator and the
// denominator of a ratio are averaged separately and divided at the end: ratios are never averaged.
#ifndef PROBES_EWMA_H
#define PROBES_EWMA_H

#include "base/num.h"

#include <math.h>
#include <stdbool.h>

#define EWMA_ALPHA 0.02

// How many equally weighted samples have the same variance: (2 - alpha) / alpha.
static inline double ewma_window(double alpha) {
    return (2 - alpha) / alpha;
}

struct ewma_pair {
    double num, den; // not measured before the first value
};

static inline void ewma_pair_reset(struct ewma_pair *p) {
    p->num = p->den = num_missing();
}

static inline bool ewma_pair_started(const struct ewma_pair *p) {
    return !isnan(p->den);
}

static inline void ewma_pair_add(struct ewma_pair *p, double alpha, double num, double den) {
    if (ewma_pair_started(p)) {
        p->num += alpha * (num - p->num);
        p->den += alpha * (den - p->den);
    } else {
        p->num = num;
        p->den = den;
    }
}

// One average with the variance around it (West, Finch). Zero it before the first value.
struct ewma {
    double mean, variance;
    bool started;
};

static inline void ewma_add(struct ewma *e, double alpha, double x) {
    if (!e->started) {
        *e = (struct ewma){.mean = x, .started = true};
        return;
    }
    double d = x - e->mean;
    e->mean += alpha * d;
    e->variance = (1 - alpha) * (e->variance + alpha * d * d);
}

// The variance of an EWMA of a series of variance 1 whose lag-1 autocorrelation is phi (AR(1)).
static inline double ewma_variance_factor(double alpha, double phi) {
    double kept = phi * (1 - alpha);
    return alpha / (2 - alpha) * (1 + kept) / (1 - kept);
}

#endif
