// A running sum that keeps what rounding drops (Neumaier 1974): millions of small terms of either
// sign add up to the last digit. Two plain doubles, copied freely.
#ifndef PROBES_NEUMAIER_H
#define PROBES_NEUMAIER_H

#include <math.h>

struct neumaier {
    double sum, carry;
};

static inline void neumaier_add(struct neumaier *s, double x) {
    double sum = s->sum + x;
    s->carry += fabs(s->sum) >= fabs(x) ? (s->sum - sum) + x : (x - sum) + s->sum;
    s->sum = sum;
}

static inline double neumaier_value(const struct neumaier *s) {
    return s->sum + s->carry;
}

#endif
