// The lock that keeps a second daemon out of a data directory, and what tells whether the last one
// stopped as it should.
#ifndef STORAGE_LOCK_H
#define STORAGE_LOCK_H

#include "base/buf.h"
#include "base/check.h"

#include <stdbool.h>

// Returns a descriptor that holds the lock, or -1 with a message. *unclean: the last holder did not
// release it with lock_release().
int lock_acquire(const char *directory, bool *unclean, struct buf *error) WARN_UNUSED;
void lock_release(int fd);

#endif
