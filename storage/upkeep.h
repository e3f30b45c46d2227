// What the store does beside taking steps: packing the journal into segments, deleting what is to
// be forgotten, giving space back. Inside storage/; the writer calls store_maintain().
#ifndef STORAGE_UPKEEP_H
#define STORAGE_UPKEEP_H

#include "storage/codec.h"
#include "storage/segment.h"
#include "storage/statement.h"

#include <stdbool.h>

struct upkeep;

struct upkeep *upkeep_create(struct connection *c);
void upkeep_destroy(struct upkeep *u);

// The parts share these.
struct connection *upkeep_connection(struct upkeep *u);
struct codec *upkeep_codec(struct upkeep *u);

// Each does one bounded piece in a transaction of its own. 1: did something, 0: there was nothing,
// -1: the store failed and nothing was changed; connection.error says why.
int upkeep_compact(struct upkeep *u) WARN_UNUSED;
int upkeep_merge(struct upkeep *u) WARN_UNUSED; // pieces of tiers
int upkeep_sweep(struct upkeep *u) WARN_UNUSED;
// Raw segments whose newest step is older than `oldest` (seconds since the epoch; 0: none), and
// while the store takes more than max_bytes (0: any number) the oldest ones of the oldest runs.
int upkeep_retain(struct upkeep *u, double oldest, int64_t max_bytes) WARN_UNUSED;
// Gives free pages back to the file system. idle: all but a few of them.
int upkeep_vacuum(struct upkeep *u, bool idle) WARN_UNUSED;

// A transaction around what comes between; end commits, or rolls back when rc is negative.
int upkeep_begin(struct connection *c) WARN_UNUSED;
int upkeep_end(struct connection *c, int rc) WARN_UNUSED;

#endif
