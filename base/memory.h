// Memory that the daemon cannot do without, for anything small. What a peer can make large is had by
// plain malloc instead, and its failure is handled: the message is refused.
//
// A reserve is kept for the moment at which the system gives nothing more: it is let go and the
// allocation tried again, so that the loop can finish what it is at, stop reading and recover.
// When that does not help either the process ends; what was acknowledged is on disk. Any thread.
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

// Zeroed. Never NULL.
void *must_alloc(size_t size);
// A copy of the text; NULL stays NULL.
char *must_copy(const char *text);
// realloc() that does not fail.
void *must_grow(void *old, size_t size);

#define NEW(type) ((type *)must_alloc(sizeof(type)))

// Puts the reserve aside; without it a first failure is the last. Again whenever it was used.
void memory_reserve(void);
// The reserve was used and could not be had again: take nothing on.
bool memory_is_short(void);
// At the end of the process.
void memory_release(void);

#endif
