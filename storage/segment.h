// A segment: a stretch of one attempt's steps in columns. What the journal keeps a row a step is
// packed into segments, one after another; so are messages of scalars, tiers and readings.
//
// A segment is a head and blocks. The head says which steps and columns there are and where their
// chunks (storage/codec.h) lie; a column's chunks hold its rows (layers) in order, a few rows each,
// so that one layer can be read alone and all layers in one stretch. Little-endian:
//
//   u8 version (2; 1 has no chunks with predictor 3), u8 kind, u8 level, u8 0
//   u32 crc32 of the head, with zero here
//   u32 n: steps, or buckets of a tier
//   u32 layers
//   u16 columns, u16 shapes
//   u32 runs of steps, u32 runs of first steps, u32 runs of shapes, u32 chunks, u32 0
//   a run of steps:  i64 first, u32 stride, u32 count; of a tier's buckets: their last steps
//   a run of first steps: the same, of a tier's buckets; none at level 0
//   a column:  u8 kind, u8 id, u8 aggregate, u8 bytes of name, u32 rows, u32 chunks, the name
//   a shape:   u16 columns, u16 each: which columns a step has, in its order
//   a run of shapes: u16 shape, u16 0, u32 count: the steps' shapes in order
//   a chunk:   u32 size in bytes, with bit 31 set where it begins a new block; u32 crc32 of it
//
// Shapes name statistics and scalars only: the fields (time, loss ...) belong to every step. What a
// step does not have is 'not measured' in the column. Of a column's r rows and c chunks each chunk
// but the last has ceil(r / c).
//
// A block is some chunks one behind the other, cut near SEGMENT_BLOCK_BYTES.
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "base/buf.h"
#include "base/check.h"
#include "config/limits.h"
#include "storage/codec.h"
#include "wire/step.h"

#define SEGMENT_BLOCK_BYTES ((size_t)1 << 18)
#define SEGMENT_CHUNK_VALUES ((size_t)8192)
#define SEGMENT_N_MAX ((size_t)16384)
#define SEGMENT_COLUMNS_MAX ((size_t)4096)

enum segment_kind { SEGMENT_STEPS, SEGMENT_MESSAGES, SEGMENT_READINGS, SEGMENT_KINDS };

// What a column is of.
enum column_kind {
    COLUMN_FIELD,     // id: enum segment_field; one row
    COLUMN_STATISTIC, // id: enum statistic, STAT_NONE with a name; a row a layer
    COLUMN_SCALAR,    // a name; one row
    COLUMN_KINDS
};
enum segment_field {
    SEGMENT_TIME,
    SEGMENT_LOSS,
    SEGMENT_LR,
    SEGMENT_BATCH_SIZE,
    SEGMENT_LOSS_AFTER,
    SEGMENT_VAL_LOSS,
    SEGMENT_FIELDS
};
// What a tier has of a column's bucket; at level 0 there is only LAST, the values themselves.
enum aggregate {
    AGGREGATE_LAST, // the last that was measured
    AGGREGATE_MIN,  // infinities count, NaN only where there is nothing else
    AGGREGATE_MAX,
    AGGREGATE_MEAN,  // of the finite ones
    AGGREGATE_COUNT, // of those measured
    AGGREGATE_NONFINITE,
    AGGREGATE_LAG, // from the last that was measured to the last step of the bucket, in steps
    AGGREGATES
};

struct column_key {
    enum column_kind kind;
    unsigned id;
    enum aggregate aggregate;
    const char *name; // of name_len bytes, not terminated; only where the kind has one
    size_t name_len;
};

bool column_key_equals(const struct column_key *a, const struct column_key *b);

// A segment on its way out.
struct packed {
    enum segment_kind kind;
    unsigned level;
    int64_t first_step, last_step;
    size_t n;
    struct buf head, blocks;
    size_t *ends; // of each block in `blocks`
    size_t n_blocks;
};

void packed_init(struct packed *p);
void packed_free(struct packed *p);

// Gathers columns and packs them.
struct builder;

struct builder *builder_create(enum segment_kind kind, unsigned level);
void builder_destroy(struct builder *b);
void builder_clear(struct builder *b); // keeps the memory
size_t builder_n(const struct builder *b);
// Values held so far.
size_t builder_values(const struct builder *b);
// Adds a step. False when it does not fit any more (another number of layers, too many columns,
// shapes or steps) and belongs into the next segment, or when memory is gone.
bool builder_add_step(struct builder *b, const struct step *s) WARN_UNUSED;
// The last step of entry i, and the first.
int64_t builder_step(const struct builder *b, size_t i);
int64_t builder_first(const struct builder *b, size_t i);
unsigned builder_level(const struct builder *b);
size_t builder_layers(const struct builder *b);
void builder_set_layers(struct builder *b, size_t layers);
size_t builder_columns(const struct builder *b);
// Fills every column to the newest entry, as packing does. False when memory is gone.
bool builder_complete(struct builder *b) WARN_UNUSED;
// Column i of a builder that was completed or packed: its values entry after entry.
const double *builder_column_at(const struct builder *b, size_t i, struct column_key *key,
                                size_t *rows);
// Keeps the first n entries.
void builder_truncate(struct builder *b, size_t n);
// Adds a bucket that ends with `last`; its columns follow. False as above.
bool builder_add_bucket(struct builder *b, int64_t first, int64_t last) WARN_UNUSED;
// The newest entry's values of a column, to be filled: `rows` of them. NULL when memory is gone or
// there are too many columns.
double *builder_column(struct builder *b, const struct column_key *key, size_t rows) WARN_UNUSED;
// False when memory is gone.
bool builder_pack(struct builder *b, struct codec *c, struct packed *out) WARN_UNUSED;

// A head that was read.
struct segment_chunk {
    uint32_t block; // which of the segment's blocks
    uint32_t offset, size, crc;
};
struct segment_column {
    struct column_key key; // points into the head's bytes
    size_t rows, n_chunks, chunk_rows;
    const struct segment_chunk *chunks;
};
struct segment {
    enum segment_kind kind;
    unsigned level;
    size_t n, layers, n_columns, n_shapes, n_blocks;
    int64_t *steps, *firsts; // firsts: the same as steps at level 0
    struct segment_column *columns;
    uint16_t **shapes;  // [0] is how many columns follow
    uint16_t *shape_of; // a step
    struct segment_chunk *chunks;
    unsigned char *bytes; // the head's
};

// Returns 0 or -1: the bytes are no head. *s is to be freed when 0 was returned.
int segment_parse(struct segment *s, const void *head, size_t size) WARN_UNUSED;
void segment_free(struct segment *s);
const struct segment_column *segment_find(const struct segment *s, const struct column_key *key);

// Brings `size` bytes of a block from `offset` on to `to`. False when they are not there.
typedef bool segment_read_fn(void *context, size_t block, size_t offset, size_t size, void *to);
// Decodes a chunk into values: the rows from chunk * chunk_rows on, n values each. False: it is
// damaged.
bool segment_read_chunk(const struct segment *s, const struct segment_column *column, size_t chunk,
                        struct codec *c, segment_read_fn *read, void *context,
                        double *values) WARN_UNUSED;
// Rows of that chunk.
size_t segment_chunk_rows(const struct segment_column *column, size_t chunk);

#endif
