#include "remote/packer.h"

#include "base/check.h"
#include "base/memory.h"

#include <dlfcn.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <string.h>

#define LIBRARY "libsnappy.so.1"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *library;
static __typeof__(snappy_compress) *compress;
static __typeof__(snappy_max_compressed_length) *max_compressed_length;

static bool find_functions(void) {
    void *found[] = {dlsym(library, "snappy_compress"),
                     dlsym(library, "snappy_max_compressed_length")};
    memcpy(&compress, &found[0], sizeof compress); // ISO C has no cast from data to functions
    memcpy(&max_compressed_length, &found[1], sizeof max_compressed_length);
    return found[0] && found[1];
}

int packer_load(struct buf *messages) {
    pthread_mutex_lock(&lock);
    if (!library) {
        library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    }
    bool is_there = library && find_functions();
    if (!is_there) {
        buf_printf(messages,
                   "remote_write: what is written is packed by " LIBRARY ", which cannot be loaded "
                   "(%s); Debian has it in libsnappy1v5\n",
                   dlerror());
    }
    pthread_mutex_unlock(&lock);
    return is_there ? 0 : -1;
}

char *packer_pack(const struct buf *message, size_t *size) {
    *size = max_compressed_length(message->len);
    char *packed = try_alloc(*size);
    if (!packed) {
        return NULL;
    }
    CHECK(compress(message->data, message->len, packed, size) == SNAPPY_OK);
    char *fitted = try_grow(packed, *size);
    return fitted ? fitted : packed;
}
