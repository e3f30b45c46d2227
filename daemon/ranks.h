// Several ranks that feed one run, each with the statistics of its shards (a hello with "shards"):
// who is there, what each has sent, and when a step is merged (runs/merge.h) and goes the way of
// any other step. Loop thread.
//
// A step is merged when every awaited rank has sent it or a later one. A rank is awaited until it
// has kept the others waiting for ingest.rank_wait, and again as soon as it is heard of. Steps that
// wait are not in the store and not acknowledged; a rank that connects again sends them again.
//
// The run begins, or is taken up, when every rank has said hello, because only then the layers'
// sizes are known, or when what was sent has waited for ingest.rank_wait.
#ifndef DAEMON_RANKS_H
#define DAEMON_RANKS_H

#include "daemon/conn.h"
#include "wire/hello.h"
#include "wire/message.h"
#include "wire/outputs.h"

// A rank's hello. The connection is then one of the group's.
int ranks_hello(struct conn *c, struct hello *h, struct wire_error *error);
// Refuses a hello without shards for a run that ranks with shards feed now, unless it rewinds.
int ranks_check_plain(struct app *app, const struct hello *h, struct wire_error *error);

// A rank's messages, c->rank being set. Each waits until the steps that the rank sent before it
// are merged.
int ranks_step(struct conn *c, const struct step *step, struct wire_error *error);
int ranks_scalars(struct conn *c, const struct step *message, struct wire_error *error);
void ranks_event(struct conn *c, struct event *event);       // takes over the strings
void ranks_outputs(struct conn *c, struct outputs *outputs); // takes over its memory
void ranks_end(struct conn *c, const char *status);
size_t ranks_layers(const struct conn *c);

// For any connection. Whether nothing more should be read from it, being too far ahead of the
// others; whether nothing that it sent waits for others.
bool ranks_is_ahead(const struct conn *c);
bool ranks_is_idle(const struct conn *c);
// The connection feeds no run any more. Its rank may come back.
void ranks_leave(struct conn *c);

// A few times a second at least: gives up waiting where it has lasted too long.
void ranks_tick(struct app *app);
// The run is about to be forgotten: so is what waits for it.
void ranks_forget(struct app *app, const struct live_run *l);
void ranks_destroy_all(struct app *app);

#endif
