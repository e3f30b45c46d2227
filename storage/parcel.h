// What packing made, on its way into the store: segments, and what of the store they replace. It is
// made by reading alone, so that the thread that writes is kept only for as long as it takes to put
// it there.
#ifndef STORAGE_PARCEL_H
#define STORAGE_PARCEL_H

#include "storage/place.h"

#define PARCEL_GONE 32

struct parcel {
    int64_t attempt;
    double time; // of the last step, seconds since the epoch
    struct packed packed[2];
    size_t n_packed;
    struct place gone[PARCEL_GONE]; // segments that it replaces
    size_t n_gone;
    enum segment_kind kind;
    int64_t first_key, last_key, n_rows; // rows of the journal that it replaces; n_rows 0: none
    int64_t row_bytes;                   // of one of them, about
    bool refused;                        // by the last parcel_install()
};

void parcel_init(struct parcel *p);
void parcel_free(struct parcel *p);
// In a transaction of its own. 1: it is there; 0: what it was made of has changed since (a run was
// deleted, a late message came), nothing was done; -1: the store failed, nothing was done.
int parcel_install(struct connection *c, struct parcel *p) WARN_UNUSED;

#endif
