#include "storage/state.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 1 // packs to about a third
#define BYTES_MAX ((size_t)1 << 30)
// With this the oldest version's states begin.
#define OLDEST_LEAD "pyrun"

void *state_pack(const void *bytes, size_t size, size_t *packed_size) {
    size_t bound = ZSTD_compressBound(size);
    void *packed = try_alloc(bound);
    ZSTD_CCtx *z = packed ? ZSTD_createCCtx() : NULL;
    bool good = z && !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL)) &&
                !ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1));
    *packed_size = good ? ZSTD_compress2(z, packed, bound, bytes, size) : 0;
    good = good && !ZSTD_isError(*packed_size);
    ZSTD_freeCCtx(z);
    if (!good) {
        free(packed);
    }
    return good ? packed : NULL;
}

static void *copy_oldest(const void *stored, size_t size, const char **problem) {
    if (size < strlen(OLDEST_LEAD) || memcmp(stored, OLDEST_LEAD, strlen(OLDEST_LEAD)) != 0) {
        *problem = "its bytes are no state";
        return NULL;
    }
    void *bytes = try_alloc(size);
    if (bytes) {
        memcpy(bytes, stored, size);
    }
    return bytes;
}

void *state_unpack(const void *stored, size_t stored_size, size_t *size, const char **problem) {
    unsigned long long n =
        stored ? ZSTD_getFrameContentSize(stored, stored_size) : ZSTD_CONTENTSIZE_ERROR;
    *problem = NULL;
    if (n == ZSTD_CONTENTSIZE_ERROR) {
        *size = stored_size;
        return copy_oldest(stored, stored_size, problem);
    }
    if (n == ZSTD_CONTENTSIZE_UNKNOWN || n > BYTES_MAX) {
        *problem = "its bytes are no state";
        return NULL;
    }
    *size = (size_t)n;
    void *bytes = try_alloc(*size + 1);
    size_t unpacked = bytes ? ZSTD_decompress(bytes, *size, stored, stored_size) : 0;
    if (bytes && unpacked != *size) {
        *problem = "its bytes do not unpack, or their checksum is wrong";
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}
