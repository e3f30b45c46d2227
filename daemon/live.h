// Live runs: the registry of runs that jobs feed now, how their changes reach the writer, and when
// their readings are published.
#ifndef DAEMON_LIVE_H
#define DAEMON_LIVE_H

#include "daemon/app.h"
#include "runs/run.h"
#include "wire/message.h"

struct live_run {
    struct live_run *next; // of its bucket
    struct app *app;
    struct run *run;
    int64_t durable_step; // of the attempt in force
    uint64_t pushed;      // sequence of its newest op
    size_t n_conns;
    enum alert_closing closing; // why alerts that resolve now do
    uint64_t last_activity_ns;  // monotonic
    uint64_t published_ns;      // when, and what it took
    uint64_t publish_cost_ns;
    bool dirty;               // changed since it was published
    bool status_changed;      // likewise; shown as soon as it is durable, whatever that costs
    int64_t checkpoint_steps; // observed since the last checkpoint
    size_t checkpoint_bytes;  // their blobs
};

// The run of that name if it is live; NULL when not.
struct live_run *live_find(struct app *app, const char *name);
// The same, brought to life from the store when it is there. -1 with a message when the store
// fails; *out NULL when there is no such run.
int live_load(struct app *app, const char *name, struct live_run **out, struct wire_error *error);
// A new run. Takes over *hello.
struct live_run *live_create(struct app *app, struct hello *hello);
// Takes over *hello.
void live_begin_attempt(struct live_run *l, struct hello *hello, int64_t rewind_step,
                        bool is_rewind);
// An ended or silent run is heard of again.
void live_resume(struct live_run *l);
// A step that is new: observes and stores it. step->time has been set. False: there is no memory
// for it, and nothing was done.
bool live_step(struct live_run *l, const struct step *step) WARN_UNUSED;
bool live_scalars(struct live_run *l, const struct step *message) WARN_UNUSED;
// Its time has been set. One that was sent again is dropped, where the job said its time.
void live_event(struct live_run *l, const struct event *event);
// A histogram of outputs; its time has been set. A repeat is dropped.
void live_outputs(struct live_run *l, const struct outputs *outputs);
void live_end(struct live_run *l, const char *status);

// After commits: the runs' durable steps, fresh readings, alerts to the streams.
void live_written(struct app *app, const struct written *written);
// Publishes what is due.
void live_publish_due(struct app *app);
// Once a second: silent runs, and runs that need not be live any longer.
void live_tick(struct app *app);
// Every run of a running daemon's last life is live again. -1 with a message.
int live_restore_all(struct app *app, struct buf *error);
// New rules for all.
void live_set_rules(struct app *app);
// On the way out: every run's checkpoint to the writer.
void live_checkpoint_all(struct app *app);
// Forgets a run without storing anything (it is being deleted).
void live_remove(struct live_run *l);
void live_destroy_all(struct app *app);

#endif
