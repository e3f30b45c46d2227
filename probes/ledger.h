// The window of one layer, or of the whole run: per-step quantities summed over blocks of steps.
//
// A block holds one step at first. Whenever all rows are full, neighbours are merged and blocks
// hold twice as many, up to LEDGER_BLOCK_MAX; from then on the oldest block is dropped. So there is
// a window from the first step on, and later it covers the last 257 to 288 steps. Blocks, not
// steps, because steps are correlated: what differs between blocks gives intervals that may be
// believed.
//
// Every quantity is averaged over the steps that have it; a ratio is one of averages, over the
// blocks that have both, and never an average of ratios.
#ifndef PROBES_LEDGER_H
#define PROBES_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_ROWS 9 // eight complete blocks and the one being filled
#define LEDGER_BLOCK_MAX 32
#define LEDGER_GROUPS_MIN 4 // fewer give no interval

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
    COLUMN_NONE = COLUMN_COUNT // the denominator of a plain average
};

struct ledger {
    double sum[LEDGER_ROWS][COLUMN_COUNT];
    uint8_t count[LEDGER_ROWS][COLUMN_COUNT];
    uint8_t rows;   // in use; the newest, and the only one that may be incomplete, is rows - 1
    uint8_t block;  // steps of a complete row
    uint8_t filled; // steps in the newest row
};

void ledger_clear(struct ledger *l);
// NaN stands for 'not measured'; everything else must be finite.
void ledger_add(struct ledger *l, const double row[COLUMN_COUNT]);
void ledger_clear_column(struct ledger *l, enum column column);
unsigned ledger_steps(const struct ledger *l);

// Average of num over average of den (or plain average for COLUMN_NONE). False when there is none.
bool ledger_ratio(const struct ledger *l, enum column num, enum column den, double *value);

// The jackknife's standard error of that ratio and the groups of steps it rests on; an incomplete
// newest block belongs to the group before it. error is valid from LEDGER_GROUPS_MIN groups on.
struct spread {
    double error;
    unsigned groups;
};
struct spread ledger_spread(const struct ledger *l, enum column num, enum column den);

// The averages of two columns in every group that has both, oldest first. Returns how many.
size_t ledger_pairs(const struct ledger *l, enum column x, enum column y, double xs[LEDGER_ROWS],
                    double ys[LEDGER_ROWS]);

// For bytes from outside: false when an index is out of range.
bool ledger_is_valid(const struct ledger *l);

#endif
