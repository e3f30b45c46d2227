// Any bytes as a segment's head or as a chunk: refused, or values that are packed again the same.
#include "storage/segment.h"

#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool nothing(void *context, size_t block, size_t offset, size_t size, void *to) {
    (void)context;
    (void)block;
    (void)offset;
    memset(to, 0, size);
    return size < 100;
}

// With its checksum made right, so that what lies behind it is reached.
static void try_head(struct codec *c, const uint8_t *data, size_t size) {
    static double values[SEGMENT_N_MAX + SEGMENT_CHUNK_VALUES];
    struct segment s;
    uint8_t *head = malloc(size);
    CHECK(head != NULL);
    memcpy(head, data, size);
    memset(head + 4, 0, 4);
    uint32_t crc = (uint32_t)crc32(0, head, (unsigned)size);
    memcpy(head + 4, &crc, sizeof crc);
    if (segment_parse(&s, head, size) == 0) {
        for (size_t i = 0; i < s.n_columns; i++) {
            if (segment_read_chunk(&s, &s.columns[i], s.columns[i].n_chunks - 1, c, nothing, NULL,
                                   values)) {
                break;
            }
        }
        segment_free(&s);
    }
    free(head);
}

static void try_chunk(struct codec *c, const uint8_t *data, size_t size) {
    double values[2][64 * 4];
    size_t rows = 1 + data[0] % 4, n = 1 + data[1] % 64;
    if (!codec_decode(c, data + 2, size - 2, values[0], rows, n)) {
        return;
    }
    struct buf again;
    buf_init(&again, 1 << 20);
    CHECK(codec_encode(c, values[0], rows, n, &again));
    CHECK(codec_decode(c, again.data, again.len, values[1], rows, n));
    CHECK(memcmp(values[0], values[1], rows * n * sizeof(double)) == 0);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct codec *c;
    c = c ? c : codec_create();
    if (size > 8) {
        try_head(c, data, size);
        try_chunk(c, data, size);
    }
    return 0;
}
