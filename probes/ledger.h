// The window of one layer, or of the whole run: per-step quantities averaged over blocks of steps.
//
// A block holds one step at first; whenever eight are complete, neighbours are merged and blocks
// hold twice as many. From LEDGER_FRESH steps on that goes on only while the blocks look steady
// (steady.h); else the oldest is dropped and the window moves on. So there is a window from the
// first step on, it is some 250 steps long while the run changes, and ever longer, and its averages
// ever sharper, while nothing does. When the newest LEDGER_FRESH steps break with the window, it
// begins anew with them. Blocks, not steps, because steps are correlated: what differs between
// blocks gives intervals that may be believed once blocks are longer than the memory of the steps.
//
// Every quantity is averaged over the steps of a block that have it, and blocks weigh by their
// steps; a ratio is one of averages, over the blocks that have both, and never an average of
// ratios.
#ifndef PROBES_LEDGER_H
#define PROBES_LEDGER_H

#include "probes/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_ROWS 8   // complete blocks at most; with the eighth the window merges or moves on
#define LEDGER_FRESH 32 // the newest steps, kept apart from longer blocks until they are so many
#define LEDGER_BLOCK_MAX (UINT32_C(1) << 20)
#define LEDGER_GROUPS_MIN 4 // fewer give no interval
#define LEDGER_WATCHED 2    // columns in which a break with the window shows

// All but the first two are per parameter, so that layers of different sizes can be averaged.
enum column {
    COLUMN_ENERGY,  // the run: loss; a layer: its share of the work done on the loss
    COLUMN_ENTROPY, // change since the state began, nats
    COLUMN_WEIGHT2, // |w|^2
    COLUMN_UPDATE2, // |dw|^2
    COLUMN_KINETIC, // |dw|^2 / eta
    COLUMN_GW,      // w.g
    COLUMN_LAG_NUM, // see coherence.h
    COLUMN_LAG_DEN,
    COLUMN_CLIMB, // change of |w|^2 since the step before
    COLUMN_PATH,  // |dw|^2 that led there
    COLUMN_NOISE, // eta times the gradient's variance over batches
    COLUMN_COUNT,
    // Of a step's row only: not kept in windows.
    ROW_SPREAD = COLUMN_COUNT, // the gradient's variance over single samples
    ROW_SIGNAL,                // |G|^2, the gradient's square without noise; both NaN or neither
    ROW_COUNT,
    COLUMN_NONE = ROW_COUNT // the denominator of a plain average
};

// What every step touches comes first, what only complete blocks touch last.
struct ledger {
    double fresh[COLUMN_COUNT]; // sums over the newest steps
    uint8_t fresh_count[COLUMN_COUNT];
    uint8_t fresh_filled;
    uint8_t rows; // complete blocks
    uint8_t judged[LEDGER_WATCHED];
    uint32_t block;                 // steps of a complete block
    uint32_t filled;                // of the block being filled, without the fresh ones
    uint32_t count[COLUMN_COUNT];   // steps behind the sums of the block being filled
    double scatter[LEDGER_WATCHED]; // see steady.h
    double sum[COLUMN_COUNT];       // of the block being filled, without the fresh steps
    struct packed kept[LEDGER_ROWS - 1][COLUMN_COUNT]; // averages of complete blocks, NaN where not
                                                       // measured
};

// The average of a column in a complete block, oldest first. While the eighth is being judged its
// averages stand in the place of its sums.
static inline double ledger_row(const struct ledger *l, size_t r, enum column c) {
    return r < LEDGER_ROWS - 1 ? packed_value(l->kept[r][c]) : l->sum[c];
}

void ledger_clear(struct ledger *l);
// What a step did to the window: nothing more than that it was added; it completed the fresh steps;
// they broke with the window, which begins anew with them.
enum ledger_event { LEDGER_ADDED, LEDGER_FOLDED, LEDGER_BROKE };
// NaN stands for 'not measured'; everything else must be finite.
enum ledger_event ledger_add(struct ledger *l, const double row[COLUMN_COUNT]);
void ledger_clear_column(struct ledger *l, enum column column);
unsigned ledger_steps(const struct ledger *l);

// Average of num over average of den (or plain average for COLUMN_NONE). False when there is none.
bool ledger_ratio(const struct ledger *l, enum column num, enum column den, double *value);

// The jackknife's standard error of that ratio and the groups of steps it rests on: blocks, of
// which an incomplete one belongs to the group before it until it is half full. error is valid from
// LEDGER_GROUPS_MIN groups on.
struct spread {
    double error;
    unsigned groups;
};
struct spread ledger_spread(const struct ledger *l, enum column num, enum column den);

// The sums of a column over the steps of every group, oldest first; COLUMN_NONE: the steps. NaN
// where a group did not measure it; steps of a group that lack it count as its average. Returns how
// many groups there are, the same for all columns.
size_t ledger_groups(const struct ledger *l, enum column c, double sums[LEDGER_ROWS]);

// The averages of two columns in every group that has both, oldest first. Returns how many.
size_t ledger_pairs(const struct ledger *l, enum column x, enum column y, double xs[LEDGER_ROWS],
                    double ys[LEDGER_ROWS]);

#define LEDGER_TOGETHER 4
// The sums of n columns over every group that has all of them, oldest first. Returns how many.
struct ledger_group {
    double sum[LEDGER_TOGETHER];
    double steps;
    double middle; // in steps since the window began
};
size_t ledger_together(const struct ledger *l, const enum column *columns, size_t n,
                       struct ledger_group groups[LEDGER_ROWS]);

// For bytes from outside: false when an index is out of range.
bool ledger_is_valid(const struct ledger *l);

#endif
