// Tiers: of the entries of segments, buckets of their least, greatest, mean and last value, how
// many were measured and how many of these are not finite, so that a plot of a million steps reads
// a thousand buckets.
//
// Tier 1 has a bucket for TIER_FIRST steps, each one above a bucket for TIER_FACTOR of those below.
// A segment's `level` says how its tier stands there: 2 t - 1 beside the segment (or the piece of
// the tier below) from which it was made, 2 t when many of these were merged into one.
#ifndef STORAGE_TIER_H
#define STORAGE_TIER_H

#include "storage/segment.h"

#define TIER_FIRST 64
#define TIER_FACTOR 16
#define TIER_COUNT 6
// A segment of fewer steps has no tier: it would be as large.
#define TIER_STEPS_MIN 16

static inline unsigned tier_loose(unsigned tier) {
    return 2 * tier - 1;
}
static inline unsigned tier_merged(unsigned tier) {
    return 2 * tier;
}
// Steps a bucket of the tier stands for; 1 for tier 0, the steps themselves.
int64_t tier_steps(unsigned tier);

// What a bucket holds of one value a step.
struct tier_cell {
    double value[AGGREGATES]; // AGGREGATE_LAG: of the later one in a join
};
void tier_cell_clear(struct tier_cell *c);
// Later values come later. What was not measured does not count.
void tier_cell_add(struct tier_cell *c, double value);
void tier_cell_join(struct tier_cell *c, const struct tier_cell *later);
// Makes room for extremes that are known beside the values; num_missing(): they are not. Where no
// value was measured the greatest stands for them.
void tier_cell_widen(struct tier_cell *c, double low, double high);

// Makes tier 1 of a builder of steps, or the next tier of a builder of a tier, `factor` entries a
// bucket. False when memory is gone.
bool tier_build(const struct builder *from, size_t factor, struct builder *to) WARN_UNUSED;

#endif
