// One run as it is now: who it is, its layers, its instruments and its alerts. Fed step by step by
// the daemon's loop, or rebuilt from the store for a run that is not live. Owned by one thread; no
// I/O but run_restore().
#ifndef RUNS_RUN_H
#define RUNS_RUN_H

#include "alerts/alerts.h"
#include "probes/activation.h"
#include "probes/balance.h"
#include "probes/output_probe.h"
#include "probes/phases.h"
#include "probes/thermo.h"
#include "runs/eventset.h"
#include "runs/readings.h"
#include "runs/stepset.h"
#include "runs/view.h"
#include "storage/reader.h"
#include "wire/hello.h"
#include "wire/outputs.h"
#include "wire/step.h"

#define RUN_PHASE_EVENT "phase_change"

struct run {
    struct run_record record; // identity, status and progress
    struct hello hello;       // the facts in force
    int64_t attempt;          // the id of the attempt in force
    struct stepset steps;     // the steps of the history in force
    struct eventset events;   // the job's in this attempt; the caller adds them
    struct thermo *thermo;
    struct alerts *alerts;
    struct balance balance;
    const struct activation **activations; // a layer each; NULL: the hello names none that is known
    struct output_probe outputs;
    struct phases course;
    struct readings readings; // over time
    // What the newest step or histogram brought to light; the caller stores each as an event and
    // tells the run of it with run_event(), like any other.
    struct phase_change phases[PHASES_MAX];
    size_t n_phases;
    int64_t n_events;    // events so far, of all attempts
    int64_t n_outputs;   // histograms so far, of all attempts
    double time;         // of the newest step, seconds since the epoch
    double step_seconds; // typical time between steps (EWMA), 0 before the second
};

// A new run. Takes over *hello (which is left empty). `now` in seconds since the epoch.
struct run *run_create(int64_t id, int64_t attempt, struct hello *hello, double now,
                       struct ruleset *rules);
void run_destroy(struct run *r);

// What a second hello means for a run.
enum run_join {
    RUN_JOIN_CONTINUE,    // same facts: nothing changes
    RUN_JOIN_NEW_ATTEMPT, // a rewind, other facts, or other layers on an ended run
    RUN_JOIN_REFUSED      // other layers on a run that is not over
};
// *rewind_step: with a new attempt, the last step that stays.
enum run_join run_join(const struct run *r, const struct hello *hello, int64_t *rewind_step);
// Begins the attempt: later steps are superseded, windows are dropped, open alerts are
// closed. Takes over *hello.
void run_begin_attempt(struct run *r, int64_t attempt, struct hello *hello, int64_t rewind_step,
                       struct ruleset *rules, alert_change_fn *changed, void *context);

// Where a step belongs.
enum run_place {
    RUN_STEP_NEW,      // behind the newest
    RUN_STEP_REPEATED, // there already: acknowledged and dropped
    RUN_STEP_MISPLACED // before the newest and never stored
};
enum run_place run_place(const struct run *r, int64_t step);
// Observes a new step; step->time must have been set. Alert changes go to `changed` (NULL:
// nowhere).
void run_observe(struct run *r, const struct step *step, alert_change_fn *changed, void *context);
// A histogram of outputs. False, and nothing changes, when it is not behind the attempt's newest: a
// repeat, not to be stored.
bool run_outputs(struct run *r, const struct outputs *o);
// The data of a phase change's event, JSON.
void run_phase_json(const struct phase_change *p, struct buf *out);
// An annotation; `data_refresh` begins a state of type II.
void run_event(struct run *r, const char *name);

// About what a live run of so many layers holds in memory.
size_t run_bytes(size_t n_layers);
// The state behind the newest step as bytes for store_put_checkpoint(), and back. False: not of
// this version; the run is then rebuilt from its steps.
void run_save(const struct run *r, struct buf *out);
bool run_load(struct run *r, const void *bytes, size_t size);

// Rebuilds a run from the store: its checkpoint and the steps and events since. 1 and *out, 0 when
// there is no such run, -1 with reader_error().
int run_restore(struct run **out, struct reader *reader, const char *name,
                struct ruleset *rules) WARN_UNUSED;

#endif
