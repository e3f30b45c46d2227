// An immutable reading of a run, shared between threads by reference count: made by the loop for
// live runs and published, or by a reader for others.
#ifndef RUNS_SNAPSHOT_H
#define RUNS_SNAPSHOT_H

#include "probes/engine.h"
#include "runs/reading_table.h"
#include "runs/run.h"

#define SNAPSHOT_ATTACHMENTS 2

struct snapshot {
    _Atomic unsigned refs; // use snapshot_ref and snapshot_unref
    uint64_t version;      // grows with each snapshot of any run: an ETag
    struct run_record record;
    int64_t attempt;
    int64_t step; // the newest step, -1 before the first
    double time;
    unsigned state; // 0: state I, else II
    size_t n_layers;
    char **layer_names; // one allocation
    struct reading global[METRIC_COUNT];
    struct reading_table layers;
    // What the layers' engines are read from, when somebody asks.
    struct engine *engines;
    const struct activation **activations;
    bool *named;  // the hello names an activation for the layer
    double *heat; // of each layer over all states, see probes/balance.h
    struct balance_sheet balance;
    double *low, *high; // as struct readings has them
    struct {
        uint64_t windows; // 0: none, and nothing else is set
        int64_t step;
        size_t n_counts;
        struct distribution_figure entropy, total_variation, jensen_shannon;
    } outputs;
    // Use snapshot_attach and snapshot_attached
    _Atomic(void *) attached[SNAPSHOT_ATTACHMENTS];
    void (*_Atomic free_attached)(void *);
};

// Reads all instruments of the run now.
struct snapshot *snapshot_create(const struct run *r);
// What a metric came to in the steps since the newest entry of the readings over time (layer: or
// n_layers for the whole run); num_missing() for one of which every step is not watched.
void snapshot_extremes(const struct snapshot *s, enum metric m, size_t layer, double *low,
                       double *high);
struct engine_reading snapshot_engine(const struct snapshot *s, size_t layer);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);
// A thing that is made of the snapshot and lasts as long, such as a serialised form, in one of
// SNAPSHOT_ATTACHMENTS places; NULL: none yet. Any thread.
void *snapshot_attached(struct snapshot *s, size_t place);
// Gives it to the snapshot, unless another thread was faster: then it is freed and the other's is
// returned. All callers give the same `free_it`.
void *snapshot_attach(struct snapshot *s, size_t place, void *thing, void (*free_it)(void *));

#endif
