// How checkpoints and waypoints stand in the store: as a zstd frame with a checksum. Older versions
// wrote frames without one, the oldest the bytes themselves.
#ifndef STORAGE_STATE_H
#define STORAGE_STATE_H

#include "base/check.h"

#include <stddef.h>

// What the caller frees; NULL when there is no memory.
void *state_pack(const void *bytes, size_t size, size_t *packed_size) WARN_UNUSED;
// Likewise. Also NULL when the bytes are damaged, or no state: then *problem says so, for people.
void *state_unpack(const void *stored, size_t stored_size, size_t *size,
                   const char **problem) WARN_UNUSED;

#endif
