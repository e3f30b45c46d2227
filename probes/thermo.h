// All instruments of one run: it watches steps and can be read at any time.
//
// One `struct thermo` belongs to one thread. Its whole state is flat memory without pointers, saved
// and loaded as bytes (of this machine's order): a thermo that was saved, loaded and fed the
// remaining steps reads bit for bit what an uninterrupted one reads.
#ifndef PROBES_THERMO_H
#define PROBES_THERMO_H

#include "base/stat.h"
#include "probes/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum optimizer { OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_ADAMW, OPTIMIZER_OTHER };

struct thermo_facts {
    enum optimizer optimizer;
    double momentum; // SGD's, 0 when the hello names none
    bool nesterov;
    double beta1, beta2; // Adam's, 0.9 and 0.999 when the hello names none
    double weight_decay; // 0 when the hello names none
    double lr;           // for steps that name none; num_missing() when unknown
    double batch_size;   // likewise
};

// One step. Columns hold one entry a layer; NULL = not sent. Single entries and scalars may be
// num_missing(). The memory is the caller's and is read during the call only.
struct thermo_step {
    int64_t step;
    double loss, lr, batch_size;
    double loss_after; // of the same batch, after the update
    const double *stat[STAT_COUNT];
};

struct thermo;
struct engine;

// layer_sizes: the number of parameters of each of the n_layers layers.
struct thermo *thermo_create(const struct thermo_facts *facts, size_t n_layers,
                             const double *layer_sizes);
void thermo_destroy(struct thermo *t);

// Steps come in increasing order of step within a segment; one that repeats or goes back begins a
// new segment. What is not finite is not used: neither by its layer nor by the whole run. A step
// whose gradient overflowed and that moved nothing was not taken by the optimizer (loss scaling):
// it counts as skipped, not towards divergence.
void thermo_observe(struct thermo *t, const struct thermo_step *step);
// The data was refreshed: a state of type II begins with the next step: transition and
// heat start anew from it.
void thermo_begin_state(struct thermo *t);
// The steps that follow do not continue the earlier ones (a rewind, or other facts): windows are
// dropped, the state's origin (energy and entropy at its start) is kept. Heat starts
// anew.
void thermo_begin_segment(struct thermo *t, const struct thermo_facts *facts);

// Number of layers; readings of the whole run are those of layer THERMO_GLOBAL.
#define THERMO_GLOBAL SIZE_MAX
size_t thermo_layers(const struct thermo *t);
// The state's number: 0 for state I (from initialisation), then 1, 2 ... for states of type II.
unsigned thermo_state(const struct thermo *t);
// The newest step seen, -1 before the first.
int64_t thermo_step_seen(const struct thermo *t);

// The layer's activation as it was measured (engine.h); valid until the next step.
const struct engine *thermo_engine(const struct thermo *t, size_t layer);

// Steps that the optimizer did not take, and whether the newest is one of them.
uint32_t thermo_skipped(const struct thermo *t);
bool thermo_newest_is_skipped(const struct thermo *t);

// The full reading with its interval. Costs some microseconds a layer: for publishing, not each
// step.
void thermo_read(const struct thermo *t, size_t layer, struct reading readings[METRIC_COUNT]);
// The value alone, the same to the last bit as thermo_read's; num_missing() when there is none.
// Cheap enough to call at every step.
double thermo_value(const struct thermo *t, size_t layer, enum metric m);
// The 95% interval alone, as thermo_read has it. False when there is none.
bool thermo_interval(const struct thermo *t, size_t layer, enum metric m, double *low,
                     double *high);

// The newest step alone, of the whole run; num_missing() where the step did not tell, or was not
// used.
struct thermo_now {
    double kinetic;               // loss units per degree of freedom
    double entropy, entropy_size; // its change since the state began, nats; of how many parameters
};
void thermo_now(const struct thermo *t, struct thermo_now *now);

// The state as bytes. thermo_load returns false when the bytes are not of this version or of
// another shape, and leaves t as it was; the caller then replays the run's steps from the start.
size_t thermo_saved_size(const struct thermo *t);
size_t thermo_bytes(size_t n_layers); // in memory, about
void thermo_save(const struct thermo *t, void *bytes);
bool thermo_load(struct thermo *t, const void *bytes, size_t n);

#endif
