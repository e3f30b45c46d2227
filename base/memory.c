#include "base/memory.h"

#include "base/check.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_BYTES ((size_t)1 << 20)

static _Atomic(void *) reserve;
static _Atomic bool is_short;

void memory_reserve(void) {
    if (atomic_load(&reserve)) {
        return;
    }
    void *bytes = malloc(RESERVE_BYTES), *none = NULL;
    if (!bytes) {
        return;
    }
    if (!atomic_compare_exchange_strong(&reserve, &none, bytes)) {
        free(bytes);
    } else if (atomic_exchange(&is_short, false)) {
        log_info("memory is there again; jobs are read on");
    }
}

bool memory_is_short(void) {
    return atomic_load(&is_short);
}

void memory_release(void) {
    free(atomic_exchange(&reserve, NULL));
}

// False when there was nothing left to let go.
static bool let_go(size_t size) {
    void *bytes = atomic_exchange(&reserve, NULL);
    if (!bytes) {
        return false;
    }
    free(bytes);
    if (!atomic_exchange(&is_short, true)) {
        log_error("the system has no memory for %zu bytes more; jobs are not read until it has",
                  size);
    }
    return true;
}

void *must_alloc(size_t size) {
    void *p = calloc(1, size);
    if (!p && let_go(size)) {
        p = calloc(1, size);
    }
    CHECK(p != NULL);
    return p;
}

void *must_grow(void *old, size_t size) {
    void *p = realloc(old, size);
    if (!p && let_go(size)) {
        p = realloc(old, size);
    }
    CHECK(p != NULL);
    return p;
}

char *must_copy(const char *text) {
    if (!text) {
        return NULL;
    }
    size_t n = strlen(text) + 1;
    char *copy = must_alloc(n);
    memcpy(copy, text, n);
    return copy;
}
