// Finds the run that an address names: among the live ones on the board, else in the store.
#ifndef API_FIND_H
#define API_FIND_H

#include "api/request.h"

struct found {
    const struct run_record *record;
    struct snapshot *live;    // a reference, NULL when the run is not live
    struct run_record stored; // empty when it is
};

// True and *out to be released; else the request has been answered (*rc): 404, or 503 for the
// store.
bool find_run(struct request *q, struct found *out, enum MHD_Result *rc);
void found_release(struct found *f);

// Lays what the board knows over what the store says: the same shape for runs in lists. The record
// and *live (a reference, NULL when the run is not live) are those of the same run.
struct snapshot *find_live(struct api *a, const struct run_record *stored);

#endif
