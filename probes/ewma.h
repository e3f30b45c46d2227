// Exponentially weighted averages, started at their first value. The numerator and the
// denominator of a ratio are averaged separately and divided at the end: ratios are never averaged.
#ifndef PROBES_EWMA_H
#define PROBES_EWMA_H

#include "base/num.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

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

// Two averages with their variances and covariance, of samples that are independent from step to
// step: plain means until the newest sample's weight has fallen to EWMA_ALPHA.
struct ewma_cross {
    double x, y; // not measured before the first sample
    float xx, yy, xy;
    uint32_t count; // at most EWMA_CROSS_COUNT
};

#define EWMA_CROSS_COUNT 250 // from there on the weights are as they stay

static inline void ewma_cross_reset(struct ewma_cross *c) {
    *c = (struct ewma_cross){.x = num_missing(), .y = num_missing()};
}

static inline bool ewma_cross_started(const struct ewma_cross *c) {
    return c->count > 0;
}

static inline void ewma_cross_add(struct ewma_cross *c, double x, double y) {
    c->count += c->count < EWMA_CROSS_COUNT;
    if (c->count == 1) {
        c->x = x;
        c->y = y;
        return;
    }
    double alpha = fmax(EWMA_ALPHA, 1.0 / c->count), dx = x - c->x, dy = y - c->y;
    c->x += alpha * dx;
    c->y += alpha * dy;
    c->xx = (float)((1 - alpha) * ((double)c->xx + alpha * dx * dx));
    c->yy = (float)((1 - alpha) * ((double)c->yy + alpha * dy * dy));
    c->xy = (float)((1 - alpha) * ((double)c->xy + alpha * dx * dy));
}

// The mean's variance over the spread that xx, yy and xy hold: q / (1 - q) with q the sum of the
// squared weights.
static inline double ewma_cross_factor(const struct ewma_cross *c) {
    double plain = 1 / EWMA_ALPHA, q = 1.0 / c->count;
    if (c->count > plain) {
        double kept = pow(1 - EWMA_ALPHA, 2 * (c->count - plain));
        q = kept / plain + (1 - kept) * EWMA_ALPHA / (2 - EWMA_ALPHA);
    }
    return q < 1 ? q / (1 - q) : HUGE_VAL; // of one value there is no spread
}

// The variance of an EWMA of a series of variance 1 whose lag-1 autocorrelation is phi (AR(1)).
static inline double ewma_variance_factor(double alpha, double phi) {
    double kept = phi * (1 - alpha);
    return alpha / (2 - alpha) * (1 + kept) / (1 - kept);
}

#endif
