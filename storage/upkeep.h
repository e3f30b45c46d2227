// What the writing connection does beside taking steps: deleting what is to be forgotten, giving
// space back. Inside storage/; the writer calls store_tidy().
#ifndef STORAGE_UPKEEP_H
#define STORAGE_UPKEEP_H

#include "storage/codec.h"
#include "storage/segment.h"
#include "storage/statement.h"

#include <stdbool.h>

struct upkeep;

struct upkeep *upkeep_create(struct connection *c);
void upkeep_destroy(struct upkeep *u);

// Each does one bounded piece in a transaction of its own. 1: did something, 0: there was nothing,
// -1: the store failed and nothing was changed; connection.error says why.
int upkeep_sweep(struct upkeep *u) WARN_UNUSED;
// Raw segments whose newest step is older than `oldest` (seconds since the epoch; 0: none), and
// while the store takes more than max_bytes (0: any number) the oldest ones of the oldest runs.
int upkeep_retain(struct upkeep *u, double oldest, int64_t max_bytes) WARN_UNUSED;
// Gives free pages back to the file system. idle: all but a few of them.
int upkeep_vacuum(struct upkeep *u, bool idle) WARN_UNUSED;

// A transaction around what comes between; end commits, or rolls back when rc is negative.
int upkeep_begin(struct connection *c) WARN_UNUSED;
int upkeep_end(struct connection *c, int rc) WARN_UNUSED;
// The first column of the first row. 1, 0 when there is none, -1.
int upkeep_integer(struct connection *c, const char *sql, const int64_t *arguments, int n,
                   int64_t *value) WARN_UNUSED;

#endif
