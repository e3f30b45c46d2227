// The database's layout and how older ones become it.
//
// A step's key is attempt << 43 | step: one b-tree, clustered by attempt and then by step, appended
// to at each attempt's own right edge. The key of an ordinary rowid table holds large values better
// than a WITHOUT ROWID table does, which spills every blob of over a quarter page in whole overflow
// pages.
//
// To change the layout: append a migration to schema.c (never edit one that was released), raise
// nothing else: the version is the number of migrations. Each runs in a transaction with the
// version.
#ifndef STORAGE_SCHEMA_H
#define STORAGE_SCHEMA_H

#include "base/buf.h"
#include "base/check.h"

#include <sqlite3.h>
#include <stdint.h>

#define SCHEMA_APPLICATION_ID 0x5079726F // "Pyro"
#define SCHEMA_VERSION_SEGMENTS 4        // the first that has the tables `segment` and `block`
#define SCHEMA_VERSION_READINGS 6        // the first that has the table `reading`
#define SCHEMA_VERSION_WAYPOINTS 7       // the first that has the table `waypoint`
#define SCHEMA_STEP_BITS 43
#define SCHEMA_ATTEMPT_MAX ((INT64_C(1) << 20) - 1)

static inline int64_t schema_key(int64_t attempt, int64_t step) {
    return attempt << SCHEMA_STEP_BITS | step;
}

static inline int64_t schema_key_step(int64_t key) {
    return key & ((INT64_C(1) << SCHEMA_STEP_BITS) - 1);
}

int schema_version_newest(void);
// Reads only. 0 and the version (0: empty), or -1 with the reason: another program's database, a
// newer version.
int schema_check(sqlite3 *db, int *version, struct buf *error) WARN_UNUSED;
// Brings what schema_check() has let pass to the newest version. 0, or -1 with the reason.
int schema_migrate(sqlite3 *db, struct buf *error) WARN_UNUSED;

#endif
