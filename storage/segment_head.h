// The fixed parts of a segment's head as they stand in the store; storage/segment.h explains them.
#ifndef STORAGE_SEGMENT_HEAD_H
#define STORAGE_SEGMENT_HEAD_H

#include <stdint.h>

// Version 2 has chunks with the fixed predictor; both are read.
#define SEGMENT_VERSION 2
#define SEGMENT_VERSION_OLDEST 1
#define SEGMENT_NEW_BLOCK UINT32_C(0x80000000)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "heads are written as memory has them");

struct segment_head {
    uint8_t version, kind, level, zero;
    uint32_t crc, n, layers;
    uint16_t columns, shapes;
    uint32_t step_runs, first_runs, shape_runs, chunks, zero2;
};
struct segment_run {
    int64_t first;
    uint32_t stride, count;
};
struct segment_column_head {
    uint8_t kind, id, aggregate, name_len;
    uint32_t rows, chunks;
};
struct segment_shape_run {
    uint16_t shape, zero;
    uint32_t count;
};
_Static_assert(sizeof(struct segment_head) == 40, "no padding");
_Static_assert(sizeof(struct segment_run) == 16, "no padding");
_Static_assert(sizeof(struct segment_column_head) == 12, "no padding");
_Static_assert(sizeof(struct segment_shape_run) == 8, "no padding");

#endif
