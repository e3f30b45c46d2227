// The ranks of one run, for ranks.c (who is there) and lockstep.c (when a step is merged).
#ifndef DAEMON_RANK_GROUP_H
#define DAEMON_RANK_GROUP_H

#include "daemon/app.h"
#include "daemon/rank_queue.h"
#include "runs/merge.h"
#include "wire/hello.h"

struct rank {
    struct rank_group *group;
    struct conn *conn; // NULL: not connected
    double *n;         // its parameters of each layer; NULL: it has not said hello
    double batch_size; // of its hello
    struct rank_queue queue;
    int64_t newest;     // the highest step queued since its hello, -1 before
    bool is_awaited;    // steps wait for it
    bool is_absent;     // the newest merged step lacks it
    bool is_present;    // while a step is merged: it is part of it
    const char *status; // of its `end`, static; NULL: it has not ended
    bool has_counted;   // its outputs are part of the group's
};

struct rank_group {
    struct rank_group *next;
    struct app *app;
    size_t world_size;
    struct rank *ranks;
    struct hello hello; // of the lowest rank so far
    size_t hello_rank;
    bool rewind; // what the hellos asked for
    int64_t rewind_step;
    struct live_run *run; // NULL: it has not begun
    double *sizes;        // of the whole layers, once it has
    struct merge *merge;
    uint64_t moved_ns;      // when a step was last merged
    bool no_memory;         // to go on; the next tick ends the group, and the ranks come again
    size_t lagging;         // a rank that was found to be lacking: looked at first
    struct outputs outputs; // the ranks' added up so far; no counts: none
    char **events_here;     // those since the newest merged step, as text
    size_t n_events_here;
};

// After the run has begun: drops what it has already, and merges what is complete.
void lockstep_begin(struct rank_group *g);
// After a rank's queue or somebody's being awaited changed: carries out what need not wait.
void lockstep_advance(struct rank_group *g);
// Ends the run when every rank that is there has.
void lockstep_end_if_all(struct rank_group *g);
bool lockstep_is_empty(const struct rank_group *g);
// Drops outputs that wait for more ranks.
void lockstep_forget_outputs(struct rank_group *g);
void lockstep_forget_events(struct rank_group *g);

#endif
