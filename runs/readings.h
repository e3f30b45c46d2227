// What a run's instruments read over time, for the store: all of them at a cadence, of those that a
// single step can move the least and the greatest of every step in between, and every so many
// entries the 95% intervals.
//
// The cadence counts the steps of an attempt, so that a run that is observed again, after a restart
// or for somebody who asks, makes the same entries at the same steps, bit for bit. It is state of
// the run, saved with its checkpoints. Owned by the run's thread.
#ifndef RUNS_READINGS_H
#define RUNS_READINGS_H

#include "base/buf.h"
#include "probes/thermo.h"
#include "wire/step.h"

// The attempt's first step has an entry, and every READINGS_EVERY-th behind it.
#define READINGS_EVERY 256
// Entries by the cadence from one with intervals to the next; one beside the cadence has them, too.
// They take as many bytes as the values, so every entry is not given them.
#define INTERVALS_EVERY 4
// The metrics whose extremes are those of every step: a spike of one step shows in them.
#define READINGS_STEPWISE 2
extern const enum metric readings_stepwise[READINGS_STEPWISE];

struct readings {
    uint64_t steps;  // of the attempt so far
    uint64_t rested; // of them when the newest entry beside the cadence was taken, 0: never
    size_t n_bodies; // layers, and the whole run behind them
    // Of the steps since the newest entry of the cadence, its own not among them: [metric *
    // n_bodies
    // + body]; num_missing() where none had a value.
    double *low, *high;
};

void readings_begin(struct readings *r, size_t n_layers); // of an attempt; frees what was there
void readings_free(struct readings *r);
// Looks at the instruments behind a step.
void readings_observe(struct readings *r, const struct thermo *t);
// The newest step has an entry by the cadence.
bool readings_are_due(const struct readings *r);
// The attempt has entries and steps behind the newest of them. What ends there is given one more
// entry, beside the cadence, which goes on as if it had not been; once.
bool readings_take_rest(struct readings *r);
// An entry of the newest step, as storage/range.h wants it: the layers' values as statistics and
// the whole run's as scalars, each by its metric's name, and the extremes and intervals beside
// them. The ends of intervals are float32, rounded outward. `step` and `time` are the caller's to
// set. False when memory is gone.
bool readings_print(const struct readings *r, const struct thermo *t, struct step *out);

void readings_save(const struct readings *r, struct buf *out);
// Returns the bytes read, 0 when they are not saved readings of a run of that shape.
size_t readings_load(struct readings *r, size_t n_layers, const void *bytes, size_t size);

#endif
