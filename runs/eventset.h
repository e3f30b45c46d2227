// Which events of an attempt are there, so that one that a job sends again is known. An event is
// known by its time, which a client gives to one event only, and by a hash of the rest, for events
// of several processes at the same time: what differs in time is never taken for a repeat.
#ifndef RUNS_EVENTSET_H
#define RUNS_EVENTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// When there are so many, the earlier half is forgotten: 1 MiB a run at most.
#define EVENTSET_MAX ((size_t)1 << 16)

struct event_key {
    double time;
    uint64_t rest;
};

struct eventset {
    struct event_key *keys; // by time
    size_t n, cap;
};

void eventset_free(struct eventset *s);
// False: it is there already. `data` may be NULL.
bool eventset_add(struct eventset *s, int64_t step, double time, const char *name,
                  const char *data);

#endif
