// The snappy library, loaded when the first receiver is configured: it is C++, whose runtime would
// cost every idle daemon 1 MB.
#ifndef REMOTE_PACKER_H
#define REMOTE_PACKER_H

#include "base/buf.h"

#include <stddef.h>

// 0, or -1 and why. Any thread; once it is there it stays.
int packer_load(struct buf *messages);

// As a block of snappy's, the caller's: free(). NULL where there is no memory. The library is loaded.
char *packer_pack(const struct buf *message, size_t *size);

#endif
