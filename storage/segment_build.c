// Making segments: values gather a column each, entry after entry, and are turned into rows when
// they are packed.
#include "base/num.h"
#include "base/memory.h"
#include "storage/segment.h"
#include "storage/segment_head.h"

#include <string.h>
#include <zlib.h>

#define SHAPES_MAX 256
#define TURN_ENTRIES 16
// Tiers and readings are read a layer at a time, and from many segments.
#define TIER_CHUNK_VALUES ((size_t)2048)

struct building {
    struct column_key key; // owns the name
    size_t rows;
    double *values; // entry after entry
    size_t cap;     // entries
    size_t filled;  // entries that have values; the ones behind are 'not measured'
};

struct builder {
    enum segment_kind kind;
    unsigned level;
    size_t n, layers, n_values;
    size_t steps_cap;
    int64_t *steps, *firsts; // one piece of memory
    uint16_t *shape_of;
    size_t n_columns, columns_cap;
    struct building *columns;
    size_t n_shapes;
    uint16_t *shapes[SHAPES_MAX]; // [0] is how many columns follow
    uint16_t *shape;              // the one at hand
    size_t hint;                  // the column that was filled last
};

bool column_key_equals(const struct column_key *a, const struct column_key *b) {
    return a->kind == b->kind && a->id == b->id && a->aggregate == b->aggregate &&
           a->name_len == b->name_len &&
           (a->name_len == 0 || memcmp(a->name, b->name, a->name_len) == 0);
}

void packed_init(struct packed *p) {
    *p = (struct packed){0};
    buf_init(&p->head, (size_t)1 << 30);
    buf_init(&p->blocks, (size_t)1 << 30);
}

void packed_free(struct packed *p) {
    buf_free(&p->head);
    buf_free(&p->blocks);
    free(p->ends);
    *p = (struct packed){0};
}

struct builder *builder_create(enum segment_kind kind, unsigned level) {
    struct builder *b = NEW(struct builder);
    b->kind = kind;
    b->level = level;
    b->shape = must_alloc((SEGMENT_COLUMNS_MAX + 1) * sizeof *b->shape);
    return b;
}

void builder_clear(struct builder *b) {
    for (size_t i = 0; i < b->n_columns; i++) {
        free((void *)(uintptr_t)b->columns[i].key.name);
        free(b->columns[i].values);
    }
    for (size_t i = 0; i < b->n_shapes; i++) {
        free(b->shapes[i]);
    }
    b->n = b->n_values = b->n_columns = b->n_shapes = 0;
}

void builder_destroy(struct builder *b) {
    if (b) {
        builder_clear(b);
        free(b->steps);
        free(b->shape_of);
        free(b->columns);
        free(b->shape);
        free(b);
    }
}

size_t builder_n(const struct builder *b) {
    return b->n;
}

int64_t builder_step(const struct builder *b, size_t i) {
    return b->steps[i];
}

int64_t builder_first(const struct builder *b, size_t i) {
    return b->firsts[i];
}

unsigned builder_level(const struct builder *b) {
    return b->level;
}

size_t builder_layers(const struct builder *b) {
    return b->layers;
}

void builder_set_layers(struct builder *b, size_t layers) {
    b->layers = layers;
}

size_t builder_columns(const struct builder *b) {
    return b->n_columns;
}

const double *builder_column_at(const struct builder *b, size_t i, struct column_key *key,
                                size_t *rows) {
    CHECK(i < b->n_columns && b->columns[i].filled == b->n);
    *key = b->columns[i].key;
    *rows = b->columns[i].rows;
    return b->columns[i].values;
}

size_t builder_values(const struct builder *b) {
    return b->n_values;
}

static bool grow_entries(struct builder *b) {
    if (b->n < b->steps_cap) {
        return true;
    }
    size_t cap = b->steps_cap ? 2 * b->steps_cap : 64;
    int64_t *both = try_alloc(2 * cap * sizeof *both);
    uint16_t *shape_of = try_grow(b->shape_of, cap * sizeof *shape_of);
    b->shape_of = shape_of ? shape_of : b->shape_of;
    if (!both || !shape_of) {
        free(both);
        return false;
    }
    if (b->n) {
        memcpy(both, b->steps, b->n * sizeof *both);
        memcpy(both + cap, b->firsts, b->n * sizeof *both);
    }
    free(b->steps);
    b->steps = both;
    b->firsts = both + cap;
    b->steps_cap = cap;
    return true;
}

bool builder_add_bucket(struct builder *b, int64_t first, int64_t last) {
    if (b->n == SEGMENT_N_MAX || !grow_entries(b)) {
        return false;
    }
    b->firsts[b->n] = first;
    b->steps[b->n] = last;
    b->shape_of[b->n] = 0;
    b->n++;
    return true;
}

static struct building *add_column(struct builder *b, const struct column_key *key, size_t rows) {
    if (b->n_columns == SEGMENT_COLUMNS_MAX) {
        return NULL;
    }
    if (b->n_columns == b->columns_cap) {
        size_t cap = b->columns_cap ? 2 * b->columns_cap : 32;
        struct building *columns = try_grow(b->columns, cap * sizeof *columns);
        if (!columns) {
            return NULL;
        }
        b->columns = columns;
        b->columns_cap = cap;
    }
    char *name = try_alloc(key->name_len + 1);
    if (!name) {
        return NULL;
    }
    if (key->name_len) {
        memcpy(name, key->name, key->name_len);
    }
    struct building *c = &b->columns[b->n_columns++];
    *c = (struct building){.key = *key, .rows = rows};
    c->key.name = name;
    return c;
}

// Steps have the same columns in the same order mostly: the next one is looked at first.
static struct building *find_column(struct builder *b, const struct column_key *key, size_t next) {
    for (size_t i = 0; i < b->n_columns; i++) {
        struct building *c = &b->columns[(next + i) % b->n_columns];
        if (column_key_equals(&c->key, key)) {
            return c;
        }
    }
    return NULL;
}

// Values up to and with entry n - 1; those that were not given are 'not measured'.
static bool fill_column(struct building *c, size_t n) {
    if (n > c->cap) {
        size_t cap = c->cap ? c->cap : 64;
        while (cap < n) {
            cap *= 2;
        }
        double *values = try_grow(c->values, cap * c->rows * sizeof *values);
        if (!values) {
            return false;
        }
        c->values = values;
        c->cap = cap;
    }
    for (size_t i = c->filled * c->rows; i < n * c->rows; i++) {
        c->values[i] = num_missing();
    }
    c->filled = n;
    return true;
}

bool builder_complete(struct builder *b) {
    for (size_t i = 0; i < b->n_columns; i++) {
        if (!fill_column(&b->columns[i], b->n)) {
            return false;
        }
    }
    return true;
}

static double *take_column(struct builder *b, const struct column_key *key, size_t rows,
                           size_t next, size_t *index) {
    struct building *c = find_column(b, key, next);
    c = c ? c : add_column(b, key, rows);
    if (!c || c->rows != rows || !fill_column(c, b->n - 1)) {
        return NULL;
    }
    size_t before = c->filled;
    if (!fill_column(c, b->n)) {
        return NULL;
    }
    b->n_values += (c->filled - before) * rows;
    *index = (size_t)(c - b->columns);
    return c->values + (b->n - 1) * rows;
}

double *builder_column(struct builder *b, const struct column_key *key, size_t rows) {
    return rows ? take_column(b, key, rows, b->hint + 1, &b->hint) : NULL;
}

static bool add_fields(struct builder *b, const struct step *s) {
    const double fields[SEGMENT_FIELDS] = {s->time,       s->loss,       s->lr,
                                           s->batch_size, s->loss_after, s->val_loss};
    for (unsigned i = 0; i < SEGMENT_FIELDS; i++) {
        struct column_key key = {.kind = COLUMN_FIELD, .id = i};
        size_t index;
        double *to = take_column(b, &key, 1, i, &index);
        if (!to) {
            return false;
        }
        *to = fields[i];
    }
    return true;
}

// Fills the columns and notes which they are in b->shape.
static bool add_columns(struct builder *b, const struct step *s) {
    size_t index = SEGMENT_FIELDS - 1;
    b->shape[0] = (uint16_t)(s->n_columns + s->n_scalars);
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct step_column *c = &s->columns[i];
        bool own = c->stat == STAT_NONE;
        struct column_key key = {.kind = COLUMN_STATISTIC,
                                 .id = c->stat,
                                 .name = c->name,
                                 .name_len = own ? strlen(c->name) : 0};
        double *to = take_column(b, &key, s->n_layers, index + 1, &index);
        if (!to) {
            return false;
        }
        memcpy(to, c->values, s->n_layers * sizeof *to);
        b->shape[1 + i] = (uint16_t)index;
    }
    for (size_t i = 0; i < s->n_scalars; i++) {
        struct column_key key = {.kind = COLUMN_SCALAR,
                                 .name = s->scalars[i].name,
                                 .name_len = strlen(s->scalars[i].name)};
        double *to = take_column(b, &key, 1, index + 1, &index);
        if (!to) {
            return false;
        }
        *to = s->scalars[i].value;
        b->shape[1 + s->n_columns + i] = (uint16_t)index;
    }
    return true;
}

static bool take_shape(struct builder *b) {
    size_t bytes = (b->shape[0] + (size_t)1) * sizeof *b->shape;
    for (size_t i = 0; i < b->n_shapes; i++) {
        if (b->shapes[i][0] == b->shape[0] && memcmp(b->shapes[i], b->shape, bytes) == 0) {
            b->shape_of[b->n - 1] = (uint16_t)i;
            return true;
        }
    }
    uint16_t *kept = b->n_shapes < SHAPES_MAX ? try_alloc(bytes) : NULL;
    if (!kept) {
        return false;
    }
    memcpy(kept, b->shape, bytes);
    b->shapes[b->n_shapes] = kept;
    b->shape_of[b->n - 1] = (uint16_t)b->n_shapes++;
    return true;
}

void builder_truncate(struct builder *b, size_t n) {
    b->n = n;
    for (size_t i = 0; i < b->n_columns; i++) {
        struct building *c = &b->columns[i];
        c->filled = c->filled < n ? c->filled : n;
    }
}

// Takes the newest entry and the columns that came with it out again, after it did not fit.
static void drop_entry(struct builder *b, size_t n_columns) {
    builder_truncate(b, b->n - 1);
    while (b->n_columns > n_columns) {
        struct building *c = &b->columns[--b->n_columns];
        free((void *)(uintptr_t)c->key.name);
        free(c->values);
    }
}

bool builder_add_step(struct builder *b, const struct step *s) {
    if (b->n == 0) {
        b->layers = s->n_layers;
    }
    if (s->n_layers != b->layers || s->n_columns + s->n_scalars > SEGMENT_COLUMNS_MAX ||
        (s->n_columns && s->n_layers == 0) || !builder_add_bucket(b, s->step, s->step)) {
        return false;
    }
    size_t n_columns = b->n_columns;
    if (!add_fields(b, s) || !add_columns(b, s) || !take_shape(b)) {
        drop_entry(b, n_columns);
        return false;
    }
    return true;
}

// Runs of equal distances.
static void put_runs(const int64_t *steps, size_t n, struct buf *out, uint32_t *n_runs) {
    *n_runs = 0;
    for (size_t i = 0; i < n;) {
        struct segment_run run = {.first = steps[i], .count = 1};
        int64_t stride = i + 1 < n ? steps[i + 1] - steps[i] : 0;
        if (stride >= 0 && stride <= UINT32_MAX) {
            run.stride = (uint32_t)stride;
            while (i + run.count < n && steps[i + run.count] - steps[i + run.count - 1] == stride) {
                run.count++;
            }
        }
        i += run.count;
        buf_put(out, &run, sizeof run);
        ++*n_runs;
    }
}

static void put_shapes(const struct builder *b, struct buf *out, uint32_t *n_runs) {
    *n_runs = 0;
    for (size_t i = 0; i < b->n_shapes; i++) {
        buf_put(out, b->shapes[i], (b->shapes[i][0] + (size_t)1) * sizeof *b->shapes[i]);
    }
    for (size_t i = 0; b->n_shapes && i < b->n;) {
        struct segment_shape_run run = {.shape = b->shape_of[i]};
        while (i + run.count < b->n && b->shape_of[i + run.count] == run.shape) {
            run.count++;
        }
        i += run.count;
        buf_put(out, &run, sizeof run);
        ++*n_runs;
    }
}

// Rows first .. first + rows - 1 of a column as the codec wants them, some entries at a time: rows
// lie apart by what is often a power of two, so that few of them stay in the cache together.
static void turn(const struct building *c, size_t n, size_t first, size_t rows, double *out) {
    for (size_t start = 0; start < n; start += TURN_ENTRIES) {
        size_t end = start + TURN_ENTRIES < n ? start + TURN_ENTRIES : n;
        for (size_t r = 0; r < rows; r++) {
            for (size_t i = start; i < end; i++) {
                out[r * n + i] = c->values[i * c->rows + first + r];
            }
        }
    }
}

static bool end_block(struct packed *p) {
    size_t *ends = try_grow(p->ends, (p->n_blocks + 1) * sizeof *ends);
    if (!ends) {
        return false;
    }
    p->ends = ends;
    p->ends[p->n_blocks++] = p->blocks.len;
    return true;
}

// Packs a column's chunks and appends what the head says of each.
static bool pack_column(struct codec *codec, const struct building *c, size_t n, double *scratch,
                        size_t n_chunks, struct packed *p, struct buf *directory) {
    size_t chunk_rows = (c->rows + n_chunks - 1) / n_chunks;
    for (size_t first = 0; first < c->rows; first += chunk_rows) {
        size_t rows = c->rows - first < chunk_rows ? c->rows - first : chunk_rows;
        size_t block_start = p->n_blocks ? p->ends[p->n_blocks - 1] : 0, start = p->blocks.len;
        bool is_new = p->blocks.len - block_start >= SEGMENT_BLOCK_BYTES;
        if (is_new && !end_block(p)) {
            return false;
        }
        turn(c, n, first, rows, scratch);
        if (!codec_encode(codec, scratch, rows, n, &p->blocks)) {
            return false;
        }
        const unsigned char *bytes = (const unsigned char *)p->blocks.data + start;
        uint32_t entry[2] = {(uint32_t)(p->blocks.len - start) | (is_new ? SEGMENT_NEW_BLOCK : 0)};
        entry[1] = (uint32_t)crc32(0, bytes, (unsigned)(p->blocks.len - start));
        buf_put(directory, entry, sizeof entry);
    }
    return true;
}

// Chunks of a column: none empty, and no more values in one than SEGMENT_CHUNK_VALUES where it has
// several rows.
static size_t count_chunks(size_t rows, size_t n, size_t most) {
    size_t chunk_rows = most / n;
    chunk_rows = chunk_rows ? chunk_rows : 1;
    size_t n_chunks = (rows + chunk_rows - 1) / chunk_rows;
    chunk_rows = (rows + n_chunks - 1) / n_chunks;
    return (rows + chunk_rows - 1) / chunk_rows;
}

static bool pack_columns(struct builder *b, struct codec *codec, struct packed *p,
                         struct segment_head *head, struct buf *columns, struct buf *directory) {
    size_t most = SEGMENT_CHUNK_VALUES > b->n ? SEGMENT_CHUNK_VALUES : b->n;
    double *scratch = try_alloc(most * sizeof *scratch);
    bool good = scratch != NULL, is_read_by_row = b->level || b->kind == SEGMENT_READINGS;
    for (size_t i = 0; good && i < b->n_columns; i++) {
        struct building *c = &b->columns[i];
        size_t n_chunks =
            count_chunks(c->rows, b->n, is_read_by_row ? TIER_CHUNK_VALUES : SEGMENT_CHUNK_VALUES);
        struct segment_column_head one = {.kind = (uint8_t)c->key.kind,
                                          .id = (uint8_t)c->key.id,
                                          .aggregate = (uint8_t)c->key.aggregate,
                                          .name_len = (uint8_t)c->key.name_len,
                                          .rows = (uint32_t)c->rows,
                                          .chunks = (uint32_t)n_chunks};
        buf_put(columns, &one, sizeof one);
        buf_put(columns, c->key.name, c->key.name_len);
        head->chunks += (uint32_t)n_chunks;
        good = pack_column(codec, c, b->n, scratch, n_chunks, p, directory);
    }
    free(scratch);
    return good && (p->blocks.len == 0 || end_block(p));
}

bool builder_pack(struct builder *b, struct codec *codec, struct packed *p) {
    CHECK(b->n > 0);
    p->kind = b->kind;
    p->level = b->level;
    p->n = b->n;
    p->first_step = b->firsts[0];
    p->last_step = b->steps[b->n - 1];
    p->n_blocks = 0;
    buf_clear(&p->head);
    buf_clear(&p->blocks);
    struct segment_head head = {.version = SEGMENT_VERSION,
                                .kind = (uint8_t)b->kind,
                                .level = (uint8_t)b->level,
                                .n = (uint32_t)b->n,
                                .layers = (uint32_t)b->layers,
                                .columns = (uint16_t)b->n_columns,
                                .shapes = (uint16_t)b->n_shapes};
    struct buf columns, directory;
    buf_init(&columns, (size_t)1 << 28);
    buf_init(&directory, (size_t)1 << 28);
    bool good = builder_complete(b) && pack_columns(b, codec, p, &head, &columns, &directory);
    buf_put(&p->head, &head, sizeof head);
    put_runs(b->steps, b->n, &p->head, &head.step_runs);
    if (b->level) {
        put_runs(b->firsts, b->n, &p->head, &head.first_runs);
    }
    buf_put(&p->head, columns.data, columns.len);
    put_shapes(b, &p->head, &head.shape_runs);
    buf_put(&p->head, directory.data, directory.len);
    good = good && !p->head.failed && !columns.failed && !directory.failed;
    if (good) {
        memcpy(p->head.data, &head, sizeof head);
        head.crc = (uint32_t)crc32(0, (const unsigned char *)p->head.data, (unsigned)p->head.len);
        memcpy(p->head.data, &head, sizeof head);
    }
    buf_free(&columns);
    buf_free(&directory);
    return good;
}
