// Memory. A reserve is kept for the moment at which the system gives nothing more: it is let go and
// the allocation tried again, so that one that fails is seen by nobody, the loop finishes what it
// is at, stops reading from jobs and goes on when the reserve could be had again.
//
// When even that does not help: must_*() end the process (what was acknowledged is on disk; they
// are for what is small), try_*() return NULL and the message or request is refused (they are for
// what a peer can make large, and for libraries that handle it), and that does not touch the
// reserve where it is large. Any thread.
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

// Zeroed. Never NULL.
void *must_alloc(size_t size);
// A copy of the text; NULL stays NULL.
char *must_copy(const char *text);
char *must_copy_n(const char *text, size_t n); // of its first n bytes at most
// realloc() that does not fail.
void *must_grow(void *old, size_t size);

#define NEW(type) ((type *)must_alloc(sizeof(type)))

// malloc(), calloc() and realloc(); up to MEMORY_SMALL bytes tried again from the reserve.
#define MEMORY_SMALL ((size_t)64 << 10)
void *try_alloc(size_t size);
void *try_calloc(size_t n, size_t size);
void *try_grow(void *old, size_t size);

// What a library made of malloc() itself failed: lets the reserve go. True: try again.
bool memory_let_go(void);
// Whether so many bytes more can be had at this moment; asked before much is begun.
bool memory_is_there(size_t size);
// Likewise for a message of that size and what is made of it; small ones are not looked at.
bool memory_has_room_for(size_t message);

// Puts the reserve aside, anew when it was used; cheap when it is there.
void memory_reserve(void);
// The reserve was used and could not be had again yet: nothing should be taken on.
bool memory_is_short(void);
// At the end of the process.
void memory_release(void);

#endif
