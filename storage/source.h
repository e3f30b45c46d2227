// Bytes that are read one thing after another and may end too early. Inside storage/.
#ifndef STORAGE_SOURCE_H
#define STORAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct source {
    const unsigned char *p, *end;
};

// False when fewer than n are left.
static inline bool source_get(struct source *from, void *to, size_t n) {
    if ((size_t)(from->end - from->p) < n) {
        return false;
    }
    memcpy(to, from->p, n);
    from->p += n;
    return true;
}

#endif
