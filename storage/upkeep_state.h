// What the files of the store's upkeep share.
#ifndef STORAGE_UPKEEP_STATE_H
#define STORAGE_UPKEEP_STATE_H

#include "storage/upkeep.h"

#define UPKEEP_HINTS 1024

// What is known of an attempt that had too little to pack: looked at again once it has grown.
struct upkeep_hint {
    int64_t attempt;
    enum segment_kind kind;
    int64_t last_step;
    bool is_broken; // what it has cannot be read
};

struct upkeep {
    struct connection *c;
    struct codec *codec;
    struct packed packed;
    struct upkeep_hint hints[UPKEEP_HINTS]; // by attempt; the newest of a slot stays
    // Whose tiers may have pieces to merge: one attempt, 0: none; or, after the start, any.
    int64_t grown_attempt;
    bool all_grew;
    int64_t next_attempt[SEGMENT_KINDS]; // where the search for work goes on
    double aged_to;                      // nothing is left that is older
};

// The first column of the first row. 1, 0 when there is none, -1.
int upkeep_integer(struct connection *c, const char *sql, const int64_t *arguments, int n,
                   int64_t *value) WARN_UNUSED;

// Gives up to so many free pages back. 1 when there were some, 0, -1.
int upkeep_give_back(struct upkeep *u, int64_t pages) WARN_UNUSED;
// Puts the first tier of a builder of steps or messages, which was packed, into the store.
int upkeep_insert_tier(struct upkeep *u, int64_t attempt, enum segment_kind kind,
                       const struct builder *builder, double time) WARN_UNUSED;

#endif
