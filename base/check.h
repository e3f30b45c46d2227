// Assertions for our own bugs, always compiled in: the daemon aborts, systemd restarts it, and the
// store keeps what was acknowledged. Never for input: what a peer sends is validated and refused.
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "<2>bug: %s:%d: %s is false\n", __FILE__, __LINE__, #condition);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define WARN_UNUSED __attribute__((warn_unused_result))

#endif
