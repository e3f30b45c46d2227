#include "base/memory.h"

#include "base/check.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_BYTES ((size_t)1 << 20)
// A message of more is looked at before it is taken; what is made of it takes so many times its
// size.
#define LARGE_BYTES ((size_t)64 << 10)
#define MESSAGE_SHARE 8

static _Atomic(void *) reserve;
static _Atomic bool is_short;

void memory_reserve(void) {
    if (!atomic_load_explicit(&reserve, memory_order_relaxed)) {
        void *bytes = malloc(RESERVE_BYTES), *none = NULL;
        if (!bytes) {
            return;
        }
        if (!atomic_compare_exchange_strong(&reserve, &none, bytes)) {
            free(bytes);
        }
    }
    // Apart from the above: who let the reserve go may say so only after it was had anew.
    if (memory_is_short() && atomic_exchange(&is_short, false)) {
        log_info("there is memory again");
    }
}

bool memory_is_short(void) {
    return atomic_load_explicit(&is_short, memory_order_relaxed);
}

void memory_release(void) {
    free(atomic_exchange(&reserve, NULL));
}

bool memory_let_go(void) {
    void *bytes = atomic_exchange(&reserve, NULL);
    if (!bytes) {
        return false;
    }
    free(bytes);
    if (!atomic_exchange(&is_short, true)) {
        log_error("the system gives no more memory; jobs are not read from until it does");
    }
    return true;
}

bool memory_is_there(size_t size) {
    void *p = malloc(size);
    free(p);
    return p != NULL;
}

bool memory_has_room_for(size_t message) {
    return message <= LARGE_BYTES || memory_is_there(MESSAGE_SHARE * message);
}

static bool again(size_t size) {
    return size > 0 && size <= MEMORY_SMALL && memory_let_go();
}

void *try_alloc(size_t size) {
    void *p = malloc(size);
    if (!p && again(size)) {
        p = malloc(size);
    }
    return p;
}

void *try_calloc(size_t n, size_t size) {
    void *p = calloc(n, size);
    if (!p && size && n <= MEMORY_SMALL / size && again(n * size)) {
        p = calloc(n, size);
    }
    return p;
}

void *try_grow(void *old, size_t size) {
    void *p = realloc(old, size);
    if (!p && again(size)) {
        p = realloc(old, size);
    }
    return p;
}

void *must_alloc(size_t size) {
    void *p;
    do {
        p = calloc(1, size ? size : 1);
    } while (!p && memory_let_go());
    CHECK(p != NULL);
    return p;
}

void *must_grow(void *old, size_t size) {
    void *p;
    do {
        p = realloc(old, size ? size : 1);
    } while (!p && memory_let_go());
    CHECK(p != NULL);
    return p;
}

char *must_copy_n(const char *text, size_t n) {
    size_t len = strnlen(text, n);
    char *copy = must_grow(NULL, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *must_copy(const char *text) {
    return text ? must_copy_n(text, strlen(text)) : NULL;
}
