#include "storage/range.h"

#include "base/memory.h"
#include "base/num.h"
#include "storage/blob.h"
#include "storage/blocks.h"
#include "storage/place.h"
#include "storage/reader_internal.h"
#include "storage/schema.h"

#include <stdio.h>
#include <string.h>

struct chunk {
    const struct segment_column *column;
    size_t index;
    bool good;
    double *values;
    size_t cap;
};

enum { SLOT_LEAST = AGGREGATES, SLOT_GREATEST, SLOTS };

struct reading {
    struct connection *c;
    struct codec *codec;
    struct range *range;
    struct chunk chunks[SLOTS]; // the one at hand of each aggregate, and of the extremes beside
    struct step step;           // of the journal
    bool begun;                 // the first point was given
    bool stopped;
};

static int read_span(struct reading *r, unsigned tier, int64_t from, int64_t to);

// -- one segment ---------------------------------------------------------------------------------

struct span_segment {
    struct segment s;
    struct blocks blocks;
};

static void forget_chunks(struct reading *r) {
    for (unsigned a = 0; a < SLOTS; a++) {
        r->chunks[a].column = NULL;
    }
}

// The row of a column as n values; NULL when it is damaged.
static const double *row_of(struct reading *r, struct span_segment *seg, unsigned slot,
                            const struct segment_column *column, size_t row) {
    struct chunk *chunk = &r->chunks[slot];
    size_t index = row / column->chunk_rows;
    if (chunk->column != column || chunk->index != index) {
        size_t n = segment_chunk_rows(column, index) * seg->s.n;
        if (n > chunk->cap) {
            chunk->values = must_grow(chunk->values, n * sizeof *chunk->values);
            chunk->cap = n;
        }
        chunk->column = column;
        chunk->index = index;
        chunk->good = segment_read_chunk(&seg->s, column, index, r->codec, blocks_read,
                                         &seg->blocks, chunk->values);
    }
    return chunk->good ? chunk->values + (row - index * column->chunk_rows) * seg->s.n : NULL;
}

static void note_damage(struct reading *r, int64_t first, int64_t last) {
    struct step_damage *d = &r->range->damage;
    d->first = d->segments == 0 || first < d->first ? first : d->first;
    d->last = d->segments == 0 || last > d->last ? last : d->last;
    d->segments++;
}

static void give(struct reading *r, size_t series, const struct range_point *point) {
    if (!r->stopped && point->cell.value[AGGREGATE_COUNT] > 0) {
        r->stopped = !r->range->point(r->range->context, series, point);
    }
}

// A series' values in one segment: NULL where there are none.
struct rows {
    const double *of[AGGREGATES];
    const double *least, *greatest; // a reading's of every step
};

enum find { FOUND, NOT_THERE, DAMAGED };

static enum find find_row(struct reading *r, struct span_segment *seg, const struct column_key *key,
                          size_t row, unsigned slot, const double **out) {
    const struct segment_column *column = segment_find(&seg->s, key);
    if (!column || row >= column->rows) {
        return NOT_THERE; // it was not sent here
    }
    *out = row_of(r, seg, slot, column, row);
    return *out ? FOUND : DAMAGED;
}

// The key of what stands beside a reading; `name` is where its name goes.
static struct column_key beside(const struct column_key *of, const char *suffix,
                                char name[LIMIT_STAT_NAME + 1]) {
    struct column_key key = *of;
    int n = snprintf(name, LIMIT_STAT_NAME + 1, "%.*s%s", (int)of->name_len, of->name, suffix);
    key.name = name;
    key.name_len = (size_t)n;
    return key;
}

static enum find find_extremes(struct reading *r, struct span_segment *seg,
                               const struct range_series *one, struct rows *rows) {
    char name[LIMIT_STAT_NAME + 1];
    bool tier = seg->s.level > 0;
    struct column_key key = beside(&one->key, READING_LEAST, name);
    key.aggregate = tier ? AGGREGATE_MIN : AGGREGATE_LAST;
    enum find least = find_row(r, seg, &key, one->row, SLOT_LEAST, &rows->least);
    key = beside(&one->key, READING_GREATEST, name);
    key.aggregate = tier ? AGGREGATE_MAX : AGGREGATE_LAST;
    enum find greatest = find_row(r, seg, &key, one->row, SLOT_GREATEST, &rows->greatest);
    return least == DAMAGED || greatest == DAMAGED ? DAMAGED : FOUND;
}

static enum find find_rows(struct reading *r, struct span_segment *seg,
                           const struct range_series *one, struct rows *rows) {
    struct column_key key = one->key;
    enum find found = FOUND;
    for (unsigned a = 0; found == FOUND && a < (seg->s.level ? AGGREGATES : 1); a++) {
        key.aggregate = (enum aggregate)a;
        found = find_row(r, seg, &key, one->row, a, &rows->of[a]);
    }
    bool may_have_extremes = found == FOUND && seg->s.kind == SEGMENT_READINGS;
    return may_have_extremes ? find_extremes(r, seg, one, rows) : found;
}

static struct range_point point_of(const struct segment *s, const struct rows *rows, size_t i) {
    struct range_point p = {.first = s->firsts[i], .last = s->steps[i]};
    tier_cell_clear(&p.cell);
    if (s->level) {
        for (unsigned a = 0; a < AGGREGATES; a++) {
            p.cell.value[a] = rows->of[a][i];
        }
        p.last -= (int64_t)p.cell.value[AGGREGATE_LAG];
    } else {
        tier_cell_add(&p.cell, rows->of[AGGREGATE_LAST][i]);
    }
    tier_cell_widen(&p.cell, rows->least ? rows->least[i] : num_missing(),
                    rows->greatest ? rows->greatest[i] : num_missing());
    return p;
}

// Gives one series' entries first .. end - 1 of a segment. False: it is damaged.
static bool give_series(struct reading *r, struct span_segment *seg, size_t series, size_t first,
                        size_t end) {
    struct range_series *one = &r->range->series[series];
    struct rows rows = {0};
    enum find found = find_rows(r, seg, one, &rows);
    if (found != FOUND) {
        return found == NOT_THERE;
    }
    one->seen = true;
    for (size_t i = first; i < end && !r->stopped; i++) {
        struct range_point p = point_of(&seg->s, &rows, i);
        give(r, series, &p);
    }
    return true;
}

static void give_entries(struct reading *r, struct span_segment *seg, size_t first, size_t end) {
    bool good = true;
    for (size_t i = 0; first < end && i < r->range->n_series; i++) {
        good = give_series(r, seg, i, first, end) && good;
    }
    r->begun = r->begun || first < end;
    r->range->entries += end - first;
    if (!good) {
        note_damage(r, seg->s.firsts[first], seg->s.steps[end - 1]);
    }
}

// A bucket stands for itself unless the range cuts it or it is the series' first, whose value must
// be shown.
static bool is_whole(const struct reading *r, const struct segment *s, size_t i, int64_t from,
                     int64_t to) {
    return s->firsts[i] >= from && s->steps[i] <= to && (s->level == 0 || r->begun);
}

// Goes down for a bucket that does not stand for itself; where nothing is kept below it is given
// as it is, when the range has its last step.
static int descend(struct reading *r, struct span_segment *seg, unsigned tier, size_t i,
                   int64_t from, int64_t to) {
    int64_t first = seg->s.firsts[i] > from ? seg->s.firsts[i] : from;
    int64_t last = seg->s.steps[i] < to ? seg->s.steps[i] : to;
    bool begun = r->begun;
    r->begun = false; // to see whether anything is found
    forget_chunks(r);
    int rc = read_span(r, tier - 1, first, last);
    forget_chunks(r);
    bool found = r->begun;
    r->begun = begun || found;
    if (rc == 0 && !found && seg->s.steps[i] <= to) {
        give_entries(r, seg, i, i + 1);
    }
    return rc;
}

// The entries of a segment that are within from..to.
static int read_segment(struct reading *r, struct span_segment *seg, unsigned tier, int64_t from,
                        int64_t to) {
    const struct segment *s = &seg->s;
    int rc = 0;
    size_t i = 0;
    while (i < s->n && s->steps[i] < from) {
        i++;
    }
    while (rc == 0 && i < s->n && s->firsts[i] <= to && !r->stopped) {
        size_t end = i;
        while (end < s->n && is_whole(r, s, end, from, to)) {
            end++;
        }
        give_entries(r, seg, i, end);
        if (end == i && s->level) {
            rc = descend(r, seg, tier, i, from, to);
            end++;
        } else if (end == i) {
            break;
        }
        i = end;
    }
    return rc;
}

// -- the journal ---------------------------------------------------------------------------------

static double step_value(const struct step *s, const struct column_key *key, size_t row,
                         bool *seen) {
    const double fields[SEGMENT_FIELDS] = {s->time,       s->loss,       s->lr,
                                           s->batch_size, s->loss_after, s->val_loss};
    if (key->kind == COLUMN_FIELD) {
        *seen = true;
        return fields[key->id];
    }
    for (size_t i = 0; key->kind == COLUMN_SCALAR && i < s->n_scalars; i++) {
        if (strlen(s->scalars[i].name) == key->name_len &&
            memcmp(s->scalars[i].name, key->name, key->name_len) == 0) {
            *seen = true;
            return s->scalars[i].value;
        }
    }
    for (size_t i = 0; key->kind == COLUMN_STATISTIC && i < s->n_columns; i++) {
        const struct step_column *c = &s->columns[i];
        if (c->stat == (enum statistic)key->id &&
            (c->stat != STAT_NONE || (strlen(c->name) == key->name_len &&
                                      memcmp(c->name, key->name, key->name_len) == 0))) {
            *seen = true;
            return row < s->n_layers ? c->values[row] : num_missing();
        }
    }
    return num_missing();
}

static void widen(const struct step *s, const struct range_series *one, struct tier_cell *cell) {
    char low[LIMIT_STAT_NAME + 1], high[LIMIT_STAT_NAME + 1];
    struct column_key least = beside(&one->key, READING_LEAST, low);
    struct column_key greatest = beside(&one->key, READING_GREATEST, high);
    bool seen;
    tier_cell_widen(cell, step_value(s, &least, one->row, &seen),
                    step_value(s, &greatest, one->row, &seen));
}

static void give_step(struct reading *r, int64_t step) {
    for (size_t i = 0; i < r->range->n_series; i++) {
        struct range_series *one = &r->range->series[i];
        struct range_point p = {.first = step, .last = step};
        tier_cell_clear(&p.cell);
        tier_cell_add(&p.cell, step_value(&r->step, &one->key, one->row, &one->seen));
        if (r->range->kind == SEGMENT_READINGS) {
            widen(&r->step, one, &p.cell);
        }
        give(r, i, &p);
    }
    r->begun = true;
    r->range->entries++;
}

static const char *const journal_sql[SEGMENT_KINDS] = {
    [SEGMENT_STEPS] = "SELECT key, columns FROM step WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    [SEGMENT_MESSAGES] =
        "SELECT key, columns FROM scalars WHERE key BETWEEN ?1 AND ?2 ORDER BY key, id",
    [SEGMENT_READINGS] =
        "SELECT key, columns FROM reading WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
};

static int read_journal(struct reading *r, int64_t from, int64_t to) {
    const int64_t keys[] = {schema_key(r->range->attempt, from), schema_key(r->range->attempt, to)};
    if (from > to) {
        return 0;
    }
    sqlite3_stmt *q = place_borrow(r->c, journal_sql[r->range->kind], keys, 2);
    int rc = q ? SQLITE_ROW : SQLITE_ERROR;
    while (!r->stopped && q && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        int64_t step = schema_key_step(sqlite3_column_int64(q, 0));
        const void *blob = sqlite3_column_blob(q, 1);
        if (blob && blob_decode(blob, (size_t)sqlite3_column_bytes(q, 1), &r->step)) {
            give_step(r, step);
        } else {
            note_damage(r, step, step);
        }
    }
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
    if (result && q) {
        connection_fail(r->c);
    }
    connection_give_back(r->c, q);
    return result;
}

// -- a span at one tier --------------------------------------------------------------------------

// The last segment that begins before the span may reach into it.
#define SPAN_SQL                                                                                   \
    "SELECT first_step, last_step, first_block, head FROM segment "                                \
    "WHERE attempt=?1 AND kind=?2 AND level=?3 AND first_step>=coalesce("                          \
    "(SELECT max(first_step) FROM segment WHERE attempt=?1 AND kind=?2 AND level=?3 "              \
    "AND first_step<?4), 0) AND first_step<=?5 AND last_step>=?4 ORDER BY first_step, id"

// What the segment of the row has of the span; a tier that is damaged is replaced by the one below.
static int read_row(struct reading *r, sqlite3_stmt *row, unsigned tier, int64_t from, int64_t to) {
    int64_t first = sqlite3_column_int64(row, 0), last = sqlite3_column_int64(row, 1);
    struct span_segment seg = {.blocks = {.c = r->c, .first = sqlite3_column_int64(row, 2)}};
    int rc = 0;
    if (segment_parse(&seg.s, sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3)) ==
        0) {
        rc = read_segment(r, &seg, tier, from, to);
        segment_free(&seg.s);
    } else if (tier) {
        rc = read_span(r, tier - 1, from, last < to ? last : to);
    } else {
        note_damage(r, first, last);
    }
    forget_chunks(r);
    blocks_close(&seg.blocks);
    return rc;
}

// Reads the span's part that one level has, and what lies between its segments from the tier below.
// *from moves behind what was read.
static int read_level(struct reading *r, unsigned tier, unsigned level, int64_t *from, int64_t to) {
    const int64_t arguments[] = {r->range->attempt, r->range->kind, level, *from, to};
    // Messages of one step may stand in two segments.
    const bool overlaps = tier == 0 && r->range->kind == SEGMENT_MESSAGES;
    sqlite3_stmt *q = place_borrow(r->c, SPAN_SQL, arguments, 5);
    int rc = q ? 0 : -1, row = SQLITE_DONE;
    while (rc == 0 && !r->stopped && (row = sqlite3_step(q)) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(q, 0), last = sqlite3_column_int64(q, 1);
        if (last < *from && !overlaps) {
            continue;
        }
        int64_t begin = tier && first > *from ? first : *from;
        if (begin > *from) {
            rc = read_span(r, tier - 1, *from, begin - 1);
        }
        rc = rc ? rc : read_row(r, q, tier, begin, to);
        *from = last + !overlaps;
    }
    if (rc == 0 && row != SQLITE_ROW && row != SQLITE_DONE) {
        rc = connection_fail(r->c);
    }
    connection_give_back(r->c, q);
    return rc;
}

static int read_span(struct reading *r, unsigned tier, int64_t from, int64_t to) {
    if (from > to || r->stopped) {
        return 0;
    }
    if (tier == 0) {
        int64_t start = from;
        int rc = read_level(r, 0, 0, &start, to);
        // Messages that came late stand in the journal below the last segment: they are given last.
        bool late = r->range->kind == SEGMENT_MESSAGES;
        return rc ? rc : read_journal(r, late ? from : start, to);
    }
    int rc = read_level(r, tier, tier_merged(tier), &from, to);
    rc = rc ? rc : read_level(r, tier, tier_loose(tier), &from, to);
    return rc ? rc : read_span(r, tier - 1, from, to);
}

#define FIRST_SQL(journal)                                                                         \
    "SELECT min(coalesce((SELECT min(first_step) FROM segment WHERE attempt=?1 AND kind=?2 "       \
    "AND level<=?6), ?5), coalesce((SELECT min(key)-?3 FROM " journal                              \
    " WHERE key BETWEEN ?3 AND ?4), ?5))"
static const char *const first_sql[SEGMENT_KINDS] = {
    [SEGMENT_STEPS] = FIRST_SQL("step"),
    [SEGMENT_MESSAGES] = FIRST_SQL("scalars"),
    [SEGMENT_READINGS] = FIRST_SQL("reading"),
};

// The first step that is there up to a level; STEP_MAX when there is none.
static int find_first(struct connection *c, int64_t attempt, enum segment_kind kind,
                      unsigned most_level, int64_t *first) {
    const int64_t arguments[] = {
        attempt, kind, schema_key(attempt, 0), schema_key(attempt, STEP_MAX), STEP_MAX, most_level};
    sqlite3_stmt *q = place_borrow(c, first_sql[kind], arguments, 6);
    int rc = q && sqlite3_step(q) == SQLITE_ROW ? 0 : -1;
    if (rc == 0) {
        *first = sqlite3_column_int64(q, 0);
    } else if (q) {
        connection_fail(c);
    }
    connection_give_back(c, q);
    return rc;
}

int range_first(struct reader *r, int64_t attempt, enum segment_kind kind, bool raw,
                int64_t *first) {
    unsigned most_level = raw ? 0 : tier_merged(TIER_COUNT);
    int rc = find_first(reader_connection(r), attempt, kind, most_level, first);
    return rc ? rc : *first < STEP_MAX;
}

// Exact values, and the first tier where they are gone.
static int read_exact(struct reading *r, int64_t from, int64_t to) {
    int64_t first;
    int rc = find_first(r->c, r->range->attempt, r->range->kind, 0, &first);
    if (rc == 0 && from < first) {
        rc = read_span(r, 1, from, to < first ? to : first - 1);
        from = first;
    }
    return rc ? rc : read_span(r, 0, from, to);
}

int range_read(struct reader *reader, struct range *range) {
    struct reading r = {
        .c = reader_connection(reader), .codec = reader_codec(reader), .range = range};
    int64_t from = range->from < 0 ? 0 : range->from;
    int64_t to = range->to > STEP_MAX ? STEP_MAX : range->to;
    unsigned tier = 0;
    while (tier < TIER_COUNT && tier_steps(tier + 1) <= range->width) {
        tier++;
    }
    range->damage = (struct step_damage){0};
    range->entries = 0;
    step_init(&r.step);
    int rc = tier ? read_span(&r, tier, from, to) : read_exact(&r, from, to);
    step_free(&r.step);
    for (unsigned a = 0; a < SLOTS; a++) {
        free(r.chunks[a].values);
    }
    return rc;
}

int range_entries(struct reader *reader, int64_t attempt, enum segment_kind kind,
                  int64_t *entries) {
    struct connection *c = reader_connection(reader);
    const int64_t arguments[] = {attempt, kind};
    sqlite3_stmt *q = place_borrow(
        c, "SELECT coalesce(sum(n), 0) FROM segment WHERE attempt=?1 AND kind=?2 AND level=0",
        arguments, 2);
    int rc = q && sqlite3_step(q) == SQLITE_ROW ? 0 : -1;
    if (rc == 0) {
        *entries = sqlite3_column_int64(q, 0);
    } else if (q) {
        connection_fail(c);
    }
    connection_give_back(c, q);
    return rc;
}

// Of a segment that reaches out of the range no more than the range has steps.
#define COUNT_SQL                                                                                  \
    "SELECT coalesce((SELECT sum(min(n, min(last_step, ?3)-max(first_step, ?2)+1)) FROM segment "  \
    "WHERE attempt=?1 AND kind=0 AND level=0 AND first_step>=coalesce((SELECT max(first_step) "    \
    "FROM segment WHERE attempt=?1 AND kind=0 AND level=0 AND first_step<?2), 0) "                 \
    "AND first_step<=?3 AND last_step>=?2), 0) + (SELECT count(*) FROM (SELECT 1 FROM step "       \
    "WHERE key BETWEEN ?4 AND ?5 LIMIT ?6))"

int range_count(struct reader *reader, int64_t attempt, int64_t from, int64_t to, int64_t most,
                int64_t *steps) {
    struct connection *c = reader_connection(reader);
    const int64_t arguments[] = {
        attempt, from, to, schema_key(attempt, from), schema_key(attempt, to), most};
    *steps = 0;
    if (from > to) {
        return 0;
    }
    sqlite3_stmt *q = place_borrow(c, COUNT_SQL, arguments, 6);
    int rc = q && sqlite3_step(q) == SQLITE_ROW ? 0 : -1;
    if (rc == 0) {
        *steps = sqlite3_column_int64(q, 0);
    } else if (q) {
        connection_fail(c);
    }
    connection_give_back(c, q);
    return rc;
}
