// Mean and variance without cancellation: Welford's update and the merge of Chan, Golub and
// LeVeque.
#ifndef PROBES_MOMENTS_H
#define PROBES_MOMENTS_H

struct moments {
    double n, mean, m2; // m2: the sum of squared deviations from the mean
};

static inline void moments_add(struct moments *m, double x) {
    double d = x - m->mean;
    m->n += 1;
    m->mean += d / m->n;
    m->m2 += d * (x - m->mean);
}

static inline void moments_merge(struct moments *a, const struct moments *b) {
    double n = a->n + b->n;
    if (n > 0) {
        double d = b->mean - a->mean;
        a->m2 += b->m2 + d * d * a->n * b->n / n;
        a->mean += d * b->n / n;
        a->n = n;
    }
}

// The unbiased variance; 0 for fewer than two values.
static inline double moments_variance(const struct moments *m) {
    return m->n > 1 ? m->m2 / (m->n - 1) : 0;
}

#endif
