// What the files of packing share.
#ifndef STORAGE_COMPACT_STATE_H
#define STORAGE_COMPACT_STATE_H

#include "storage/compact.h"

#define COMPACT_HINTS 1024

// What is known of an attempt that had too little to pack: looked at again once it has grown.
struct compact_hint {
    int64_t attempt;
    enum segment_kind kind;
    int64_t last_step;
    bool is_over;
    bool is_broken; // what it has cannot be read
};

struct compactor {
    struct connection c;
    struct codec *codec;
    struct compact_hint hints[COMPACT_HINTS]; // by attempt; the newest of a slot stays
    // Whose tiers may have pieces to merge: one attempt, 0: none; or, after the start, any.
    int64_t grown_attempt;
    bool all_grew;
    int64_t next_attempt[SEGMENT_KINDS]; // where the search for work goes on
    int refusals;                        // of parcels, one after another
};

// Pieces of tiers that are to become one. 1, with the read transaction's last word said; 0, -1.
struct merging;
int merging_gather(struct compactor *k, struct merging **out) WARN_UNUSED;
// False when memory is gone.
bool merging_pack(struct compactor *k, struct merging *m, struct parcel *p) WARN_UNUSED;
void merging_destroy(struct merging *m);

#endif
