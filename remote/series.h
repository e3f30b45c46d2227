// The series that were written last, a set of them for each run, so that those that cease can be
// told to have ended. A series is known by its labels' bytes (message.h).
#ifndef REMOTE_SERIES_H
#define REMOTE_SERIES_H

#include "base/buf.h"

struct series_slot;

struct series_set {
    struct buf keys; // one behind the other
    struct series_slot *slots;
    size_t n, cap; // cap: a power of two
};

void series_set_init(struct series_set *s);
void series_set_free(struct series_set *s);
// The series is written in this round. False when it was already: two of one name.
bool series_set_note(struct series_set *s, const void *key, size_t len, uint32_t round);
// Those that were not written in this round are told and leave the set; round 0: all.
typedef void series_fn(void *context, const void *key, size_t len);
void series_set_sweep(struct series_set *s, uint32_t round, series_fn *ended, void *context);

// One set for each run, by its name; "" is the daemon itself.
struct series_group {
    char *run;
    struct series_set set;
    uint32_t round; // in which it was written last
};

struct series_groups {
    struct series_group **at; // by name
    size_t n, cap;
};

// Makes it when there is none.
struct series_group *series_groups_find(struct series_groups *g, const char *run);
// All its series are told to have ended, and it goes.
void series_groups_end(struct series_groups *g, struct series_group *group, series_fn *ended,
                       void *context);
void series_groups_free(struct series_groups *g);

#endif
