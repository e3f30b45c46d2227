// The level of a series, block by block, and when it broke, by Bayesian change points (bocpd.h):
// what loss_course.h and entropy_course.h have in common.
//
// The levels' distance from an average of the last blocks is what is judged, so that a series that
// goes one way steadily is no change: it is the same distance block by block. [M] for the change
// points, the rest is ours [D].
//
// Flat. One thread.
#ifndef PROBES_LEVEL_COURSE_H
#define PROBES_LEVEL_COURSE_H

#include "base/buf.h"
#include "probes/bocpd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEVEL_BLOCK 16  // steps
#define LEVEL_RING 32   // blocks
#define LEVEL_RECENT 5  // blocks since a change that is news
#define LEVEL_JUMP 3    // usual distances that a change is at least
#define LEVEL_MAX 1e100 // sums of what is larger need not be numbers

struct level_block {
    int64_t step;    // its first
    double level;    // mean of the series
    double distance; // from the trend, in units of the usual one
};

struct level_course {
    int64_t step;                // the block's that is being filled
    double sum;                  // of it
    uint32_t filled;             // values in it
    uint32_t clear;              // blocks in a row in which the change was clear
    uint64_t blocks;             // complete, ever
    uint64_t quiet_until;        // blocks; what was told is not told again
    uint32_t is_linear, started; // the series is no logarithm; the change points have begun
    double trend, last, spread;  // of the blocks' levels
    struct level_block ring[LEVEL_RING];
    struct bocpd changes;
};

// is_linear: usual distances are in proportion to the level; else it is a logarithm already.
void level_course_begin(struct level_course *c, bool is_linear);
// A value, at most LEVEL_MAX in size. True when it completed a block in which it is clear
// that the level broke *length blocks ago (1 to LEVEL_RECENT) with *probability.
bool level_course_add(struct level_course *c, int64_t step, double x, uint64_t *length,
                      double *probability);
// The change was told: the way there is no change, and nothing is told for a while.
void level_course_settle(struct level_course *c);
// The block that ended so many blocks ago; 0 is the newest. Below both blocks and LEVEL_RING.
const struct level_block *level_course_block(const struct level_course *c, uint64_t ago);
// Whether the distances of the blocks on either side of a change so many blocks ago differ enough.
bool level_course_jumps(const struct level_course *c, uint64_t length);

void level_course_save(const struct level_course *c, struct buf *out);
// How many bytes were taken, 0 when they are no saved course; *c is then void.
size_t level_course_load(struct level_course *c, const void *bytes, size_t size);

#endif
