// Packing the journal into segments, and pieces of tiers into one: the reading half, which makes
// parcels (storage/parcel.h). Its connection is its own and read-only, so that it may work on a
// thread beside the one that writes; a struct compactor belongs to one thread at a time.
#ifndef STORAGE_COMPACT_H
#define STORAGE_COMPACT_H

#include "base/buf.h"
#include "storage/parcel.h"

struct compactor;

// Returns 0, or -1 with the reason in `error`.
int compactor_open(struct compactor **out, const char *directory, struct buf *error) WARN_UNUSED;
void compactor_close(struct compactor *k);
const char *compactor_error(const struct compactor *k);
// Makes the next parcel, of bounded size. `p` is the one that it made before, which was installed
// or refused, or an empty one. 1, 0 when there is nothing to pack, -1.
int compactor_prepare(struct compactor *k, struct parcel *p) WARN_UNUSED;

#endif
