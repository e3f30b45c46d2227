// How long many things took, in a bounded amount of memory: counts by the logarithm of the time. A
// quantile is at most 0.6% above the true one; the greatest is exact.
#ifndef CLI_LATENCIES_H
#define CLI_LATENCIES_H

#include <stdint.h>

enum { LATENCIES_A_DOUBLING = 128, LATENCIES_DOUBLINGS = 32 }; // from 1 us to over an hour

struct latencies {
    uint64_t n;
    double max_s;
    uint64_t counts[LATENCIES_A_DOUBLING * LATENCIES_DOUBLINGS];
};

void latencies_add(struct latencies *l, double seconds);
// In seconds; num_missing() of none. `part` 0.5 is the median.
double latencies_quantile(const struct latencies *l, double part);

#endif
