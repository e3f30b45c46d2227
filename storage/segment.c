// Reading segments: a head's bytes come from a store that may be damaged, so nothing in them is
// believed before it is bounded.
#include "storage/segment.h"

#include "base/memory.h"
#include "storage/segment_head.h"
#include "storage/source.h"
#include "wire/json.h"

#include <string.h>
#include <zlib.h>

static bool get_runs(struct source *from, size_t n_runs, int64_t *steps, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n_runs; i++) {
        struct segment_run run;
        if (!source_get(from, &run, sizeof run) || run.count == 0 || run.count > n - at ||
            run.first < 0 || run.first > STEP_MAX) {
            return false;
        }
        for (size_t k = 0; k < run.count; k++, at++) {
            steps[at] = run.first + (int64_t)k * run.stride;
            if (steps[at] > STEP_MAX || (at && steps[at] < steps[at - 1])) {
                return false;
            }
        }
    }
    return at == n;
}

static bool has_name(const struct segment_column_head *h) {
    return h->kind == COLUMN_SCALAR || (h->kind == COLUMN_STATISTIC && h->id == STAT_NONE);
}

// Names were checked when they came; a damaged one would damage what is printed.
static bool name_is_sound(const struct segment_column_head *h, const unsigned char *name) {
    size_t bad;
    return has_name(h) == (h->name_len > 0) && !memchr(name, '\0', h->name_len) &&
           utf8_valid((const char *)name, h->name_len, &bad);
}

// Every chunk has rows, and no more values than a chunk may have.
static bool chunks_are_sound(const struct segment_column_head *h, size_t n) {
    if (h->chunks == 0 || h->chunks > h->rows) {
        return false;
    }
    size_t chunk_rows = (h->rows + h->chunks - 1) / h->chunks;
    return (size_t)(h->chunks - 1) * chunk_rows < h->rows &&
           chunk_rows * n <= (n > SEGMENT_CHUNK_VALUES ? n : SEGMENT_CHUNK_VALUES);
}

static bool is_sound(const struct segment_column_head *h, size_t layers) {
    bool one_row = h->kind == COLUMN_FIELD || h->kind == COLUMN_SCALAR;
    return h->kind < COLUMN_KINDS && h->aggregate < AGGREGATES && h->rows > 0 &&
           h->rows == (one_row ? 1 : layers) &&
           (h->kind != COLUMN_FIELD || h->id < SEGMENT_FIELDS) &&
           (h->kind != COLUMN_STATISTIC || h->id < STAT_COUNT);
}

static bool get_columns(struct source *from, struct segment *s, size_t n_chunks) {
    size_t next = 0;
    for (size_t i = 0; i < s->n_columns; i++) {
        struct segment_column_head h;
        if (!source_get(from, &h, sizeof h) || (size_t)(from->end - from->p) < h.name_len ||
            !is_sound(&h, s->layers) || !name_is_sound(&h, from->p) ||
            !chunks_are_sound(&h, s->n) || h.chunks > n_chunks - next) {
            return false;
        }
        s->columns[i] = (struct segment_column){
            .key = {.kind = (enum column_kind)h.kind,
                    .id = h.id,
                    .aggregate = (enum aggregate)h.aggregate,
                    .name = (const char *)from->p,
                    .name_len = h.name_len},
            .rows = h.rows,
            .n_chunks = h.chunks,
            .chunk_rows = (h.rows + h.chunks - 1) / h.chunks,
            .chunks = s->chunks + next,
        };
        from->p += h.name_len;
        next += h.chunks;
    }
    return next == n_chunks;
}

// A step's columns are statistics and then scalars.
static bool shape_is_sound(const struct segment *s, const uint16_t *shape) {
    bool scalars = false;
    for (size_t i = 1; i <= shape[0]; i++) {
        if (shape[i] >= s->n_columns) {
            return false;
        }
        enum column_kind kind = s->columns[shape[i]].key.kind;
        bool is_scalar = kind == COLUMN_SCALAR;
        if ((!is_scalar && (kind != COLUMN_STATISTIC || scalars))) {
            return false;
        }
        scalars = is_scalar;
    }
    return true;
}

static bool get_shapes(struct source *from, struct segment *s, size_t n_runs) {
    for (size_t i = 0; i < s->n_shapes; i++) {
        uint16_t count;
        if (!source_get(from, &count, sizeof count) ||
            (size_t)(from->end - from->p) < count * sizeof(uint16_t)) {
            return false;
        }
        s->shapes[i] = try_alloc((count + (size_t)1) * sizeof(uint16_t));
        if (!s->shapes[i]) {
            return false;
        }
        s->shapes[i][0] = count;
        if (!source_get(from, s->shapes[i] + 1, count * sizeof(uint16_t)) ||
            !shape_is_sound(s, s->shapes[i])) {
            return false;
        }
    }
    size_t at = 0;
    for (size_t i = 0; i < n_runs; i++) {
        struct segment_shape_run run;
        if (!source_get(from, &run, sizeof run) || run.shape >= s->n_shapes ||
            run.count > s->n - at) {
            return false;
        }
        for (size_t k = 0; k < run.count; k++) {
            s->shape_of[at++] = run.shape;
        }
    }
    return at == (s->n_shapes ? s->n : 0);
}

static bool get_chunks(struct source *from, struct segment *s, size_t n_chunks) {
    uint32_t block = 0, offset = 0;
    for (size_t i = 0; i < n_chunks; i++) {
        uint32_t entry[2];
        if (!source_get(from, entry, sizeof entry)) {
            return false;
        }
        if (entry[0] & SEGMENT_NEW_BLOCK) {
            block++;
            offset = 0;
        }
        uint32_t size = entry[0] & ~SEGMENT_NEW_BLOCK;
        if (size > UINT32_MAX / 2 - offset || (block && i == 0)) {
            return false;
        }
        s->chunks[i] =
            (struct segment_chunk){.block = block, .offset = offset, .size = size, .crc = entry[1]};
        offset += size;
    }
    s->n_blocks = n_chunks ? block + (size_t)1 : 0;
    return true;
}

static bool head_is_sound(const struct segment_head *h, size_t size) {
    return h->version >= SEGMENT_VERSION_OLDEST && h->version <= SEGMENT_VERSION &&
           h->kind < SEGMENT_KINDS && !h->zero && !h->zero2 && h->n > 0 && h->n <= SEGMENT_N_MAX &&
           h->layers <= LIMIT_LAYERS && h->columns <= SEGMENT_COLUMNS_MAX &&
           h->chunks <= size / (2 * sizeof(uint32_t)) && h->shapes <= size;
}

static void *get_memory(size_t n, size_t size) {
    return try_calloc(n ? n : 1, size);
}

static bool parse(struct segment *s, struct source *from, const struct segment_head *h) {
    s->steps = get_memory(s->n, sizeof *s->steps);
    s->firsts = h->level ? get_memory(s->n, sizeof *s->firsts) : s->steps;
    s->columns = get_memory(s->n_columns, sizeof *s->columns);
    s->shapes = get_memory(s->n_shapes, sizeof *s->shapes);
    s->shape_of = get_memory(s->n, sizeof *s->shape_of);
    s->chunks = get_memory(h->chunks, sizeof *s->chunks);
    return s->steps && s->firsts && s->columns && s->shapes && s->shape_of && s->chunks &&
           get_runs(from, h->step_runs, s->steps, s->n) &&
           get_runs(from, h->first_runs, s->firsts, h->level ? s->n : 0) &&
           get_columns(from, s, h->chunks) && get_shapes(from, s, h->shape_runs) &&
           get_chunks(from, s, h->chunks) && from->p == from->end;
}

int segment_parse(struct segment *s, const void *bytes, size_t size) {
    struct segment_head h;
    *s = (struct segment){0};
    if (size < sizeof h || size > UINT32_MAX) {
        return -1;
    }
    s->bytes = try_alloc(size);
    if (!s->bytes) {
        return -1;
    }
    memcpy(s->bytes, bytes, size);
    memcpy(&h, bytes, sizeof h);
    uint32_t crc = h.crc;
    h.crc = 0;
    memcpy(s->bytes, &h, sizeof h);
    struct source from = {s->bytes + sizeof h, s->bytes + size};
    s->kind = (enum segment_kind)h.kind;
    s->level = h.level;
    s->n = h.n;
    s->layers = h.layers;
    s->n_columns = h.columns;
    s->n_shapes = h.shapes;
    if (!head_is_sound(&h, size) || crc32(0, s->bytes, (unsigned)size) != crc) {
        s->n_shapes = 0;
        segment_free(s);
        return -1;
    }
    if (!parse(s, &from, &h)) {
        segment_free(s);
        return -1;
    }
    return 0;
}

void segment_free(struct segment *s) {
    for (size_t i = 0; s->shapes && i < s->n_shapes; i++) {
        free(s->shapes[i]);
    }
    if (s->firsts != s->steps) {
        free(s->firsts);
    }
    free(s->steps);
    free(s->columns);
    free(s->shapes);
    free(s->shape_of);
    free(s->chunks);
    free(s->bytes);
    *s = (struct segment){0};
}

const struct segment_column *segment_find(const struct segment *s, const struct column_key *key) {
    for (size_t i = 0; i < s->n_columns; i++) {
        if (column_key_equals(&s->columns[i].key, key)) {
            return &s->columns[i];
        }
    }
    return NULL;
}

size_t segment_chunk_rows(const struct segment_column *column, size_t chunk) {
    size_t first = chunk * column->chunk_rows;
    return column->rows - first < column->chunk_rows ? column->rows - first : column->chunk_rows;
}

bool segment_read_chunk(const struct segment *s, const struct segment_column *column, size_t chunk,
                        struct codec *c, segment_read_fn *read, void *context, double *values) {
    const struct segment_chunk *at = &column->chunks[chunk];
    // What packs n values cannot be this much larger than they are.
    size_t rows = segment_chunk_rows(column, chunk);
    if (at->size > 2 * rows * s->n * sizeof *values + 1024) {
        return false;
    }
    unsigned char *bytes = try_alloc(at->size + 1);
    bool good = bytes && read(context, at->block, at->offset, at->size, bytes) &&
                crc32(0, bytes, at->size) == at->crc &&
                codec_decode(c, bytes, at->size, values, rows, s->n);
    free(bytes);
    return good;
}
