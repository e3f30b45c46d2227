// Assertions for our own bugs, always compiled in: the daemon aborts, systemd restarts it, and the
// store keeps what was acknowledged. Never for input: what a peer sends is validated and refused.
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "<2>bug: %s:%d: %s is false\n", __FILE__, __LINE__, #condition);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// Small fixed-size allocations may end the process when memory is gone; anything whose size a peer
// chooses is bounded first and allocated with plain malloc, whose failure is handled.
static inline void *must_alloc(size_t size) {
    void *p = calloc(1, size);
    CHECK(p != NULL);
    return p;
}

#define NEW(type) ((type *)must_alloc(sizeof(type)))

#define WARN_UNUSED __attribute__((warn_unused_result))

#endif
