// A consistent copy of a store, beside a live daemon as well.
#ifndef STORAGE_BACKUP_H
#define STORAGE_BACKUP_H

#include "base/buf.h"
#include "base/check.h"

#include <stdint.h>

// Copies the database `from`, as it is at one commit, into the new file `to`, page by page. Reads
// `from` through a read-only connection that never checkpoints, so that the daemon's stays the only
// one that writes; its WAL is not recycled while the copy is made, and grows by what is committed
// meanwhile. The copy is one file without a WAL, on the disk when this returns, and nobody else's
// to read. `progress` (may be NULL) is told pages.
//
// 0, or -1 with the reason; `to` is then left to be removed, if this made it.
int backup_store(const char *from, const char *to,
                 void (*progress)(void *context, int64_t done, int64_t total), void *context,
                 struct buf *error) WARN_UNUSED;

#endif
