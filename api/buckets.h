// Gathers one series into at most so many points, in one pass and without knowing its length.
//
// Every value is a point of its own until there are too many; then neighbours are merged and each
// point stands for twice as many from there on. The first value always stays a point of its own,
// and a point carries the step and the value of its last, so that the series' first and last step
// are always there. Least and greatest values are kept, so that no spike is lost. What was not
// measured does not count.
#ifndef API_BUCKETS_H
#define API_BUCKETS_H

#include "base/check.h"
#include "storage/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bucket {
    int64_t step;
    double value;    // the last, finite or not
    double min, max; // infinities count, NaN only where there is nothing else
    double mean;     // of the finite ones
    uint64_t count, nonfinite;
};

// What a cell holds whose last value is of that step.
struct bucket bucket_of(int64_t step, const struct tier_cell *cell);

struct buckets {
    size_t points; // the most that there may be, at least 1
    size_t n, cap;
    uint64_t width; // values a bucket
    bool is_merged; // some bucket came as several values
    struct bucket *at;
};

void buckets_init(struct buckets *b, size_t points);
void buckets_free(struct buckets *b);
// Steps must not decrease; a second value of a step takes the first one's place as the last. False
// when memory is gone.
bool buckets_add(struct buckets *b, int64_t step, double value) WARN_UNUSED;
// Adds what stands for `one->count` values already; none: nothing. False when memory is gone.
bool buckets_join(struct buckets *b, const struct bucket *one) WARN_UNUSED;
// True when some point stands for several steps.
bool buckets_are_merged(const struct buckets *b);

#endif
