// Series over a range of steps, read from as little as gives them: from the tier whose buckets are
// not wider than what is wanted, from the steps themselves where a bucket is cut by the range or
// has to show its first value. Where the steps themselves are gone (storage/retain.c) the first
// tier stands for them; a bucket that the range's end cuts is then left out.
#ifndef STORAGE_RANGE_H
#define STORAGE_RANGE_H

#include "storage/reader.h"
#include "storage/segment.h"
#include "storage/tier.h"

// Of what the instruments read (SEGMENT_READINGS) a column may have two beside it, named like it
// with these behind: the least and the greatest of every step since the entry before. They count
// for the cell's extremes.
#define READING_LEAST ".min"
#define READING_GREATEST ".max"
// And two that are series of their own: the ends of its 95% interval, at some of the entries.
#define READING_LOW ".low"
#define READING_HIGH ".high"

struct range_series {
    struct column_key key; // aggregate is not looked at
    size_t row;            // the layer
    bool seen;             // set when the column is there somewhere
};

// A stretch of a series: one value a step or a bucket of several.
struct range_point {
    int64_t first, last; // steps; last: of the last value that was measured
    struct tier_cell cell;
};
// The points of one series come in order; those of several series take turns. False stops.
typedef bool range_point_fn(void *context, size_t series, const struct range_point *point);

struct range {
    int64_t attempt;
    enum segment_kind kind;
    int64_t from, to; // inclusive
    int64_t width;    // how many steps a point may stand for
    struct range_series *series;
    size_t n_series;
    range_point_fn *point;
    void *context;
    // On the way out: how many entries were looked at, steps or buckets, and what damaged blocks
    // cost.
    uint64_t entries;
    struct step_damage damage;
};

// 0, or -1 for an error of the store. Stopping is no error.
int range_read(struct reader *r, struct range *range) WARN_UNUSED;

// The first step of which the store has something of an attempt; with `raw` its exact values, not
// only their tiers. 1, 0 when it has nothing, -1.
int range_first(struct reader *r, int64_t attempt, enum segment_kind kind, bool raw,
                int64_t *first) WARN_UNUSED;
// How many exact steps the store has of an attempt within from..to, nearly; of the journal no more
// than `most` are counted.
int range_count(struct reader *r, int64_t attempt, int64_t from, int64_t to, int64_t most,
                int64_t *steps) WARN_UNUSED;
// How many steps, or messages, the store has of an attempt, nearly.
int range_entries(struct reader *r, int64_t attempt, enum segment_kind kind,
                  int64_t *entries) WARN_UNUSED;

#endif
