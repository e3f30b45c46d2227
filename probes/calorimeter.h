// The whole run's energy over a window of its own: what heat capacity, the laws and the retention
// of the newest steps are read from. Flat memory, a part of `struct run`.
//
// Blocks double as the ledger's do (ledger.h) and follow its window: they are merged only while the
// whole run's ledger holds blocks as long, and begin anew when it does. A jump of the learning rate
// begins them anew too, and keeps what the window before it read: calorimetry compares the two.
#ifndef PROBES_CALORIMETER_H
#define PROBES_CALORIMETER_H

#include "probes/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALORIMETER_ROWS 8       // complete blocks at most, as they are judged
#define CALORIMETER_SETTLE 64    // steps after a jump that are let pass
#define CALORIMETER_STEPS 128    // steps on either side of a jump that are enough to compare
#define CALORIMETER_LASTS 2048   // steps for which a comparison stands
#define CALORIMETER_GROUPS_MIN 4 // fewer give no error

enum calorimeter_column {
    CALORIMETER_ENERGY,  // the loss, from `origin`
    CALORIMETER_QUIET,   // its square without the batches' noise: less (E - the step before's)^2/2
    CALORIMETER_KINETIC, // |dw|^2 / eta per parameter
    CALORIMETER_WORK,    // sum of g.dw of the step that led here, for every step up to here
    CALORIMETER_CHANGE,  // loss_after - loss of that step, likewise
    CALORIMETER_COLUMNS
};

struct calorimeter {
    double sum[CALORIMETER_COLUMNS]; // of the block being filled
    double origin, previous;         // losses: the window's first; the newest, less that
    double change;                   // loss_after - loss of the newest step
    double eta;
    double before_energy, before_kinetic; // before the newest jump; NaN when not known
    float before_energy_error, before_kinetic_error;
    uint32_t count[CALORIMETER_COLUMNS];
    uint32_t block, filled;
    uint32_t since; // steps since the jump, up to CALORIMETER_LASTS + 1
    uint32_t rows;
    struct packed kept[CALORIMETER_ROWS - 1][CALORIMETER_COLUMNS];
};

// One step of the whole run; NaN for what is not measured.
struct calorimeter_step {
    double loss, loss_after, kinetic, eta, work;
    double dt;            // steps since the one before, NaN at the first
    uint32_t block_limit; // longest block
    bool anew;            // the window begins anew
};

void calorimeter_clear(struct calorimeter *c);
void calorimeter_observe(struct calorimeter *c, const struct calorimeter_step *s);
// A step that was not used: what compares neighbours is left out.
void calorimeter_pass(struct calorimeter *c);
bool calorimeter_is_valid(const struct calorimeter *c);

// The averages of a group of steps, NaN where none; oldest first, returns how many.
struct calorimeter_group {
    double mean[CALORIMETER_COLUMNS];
    double steps, middle; // middle: in steps since the window began
};
size_t calorimeter_groups(const struct calorimeter *c,
                          struct calorimeter_group groups[CALORIMETER_ROWS]);

// A window's average with its standard error and the groups it rests on; error is valid from
// CALORIMETER_GROUPS_MIN on.
struct calorimeter_mean {
    double value, error;
    unsigned groups;
};
struct calorimeter_mean calorimeter_mean(const struct calorimeter_group *groups, size_t n,
                                         enum calorimeter_column column);

// The loss's trend is at least three standard errors over the window.
bool calorimeter_has_trend(const struct calorimeter_group *groups, size_t n);

// The window behind a jump is long enough, and not too old, to be compared with the one before it.
bool calorimeter_compares(const struct calorimeter *c);

#endif
