#include "storage/cursor.h"

#include "storage/blob.h"
#include "storage/loaded.h"
#include "storage/reader.h"
#include "storage/schema.h"

#include <stdio.h>
#include <string.h>

static const char *const journal_sql[] = {
    [SEGMENT_STEPS] = "SELECT key, columns FROM step WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    [SEGMENT_MESSAGES] =
        "SELECT key, columns FROM scalars WHERE key BETWEEN ?1 AND ?2 ORDER BY key, id",
    [SEGMENT_READINGS] =
        "SELECT key, columns FROM reading WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
};

// Begins at the last segment that begins before `from`, whose end may reach it.
static const char segment_sql[] =
    "SELECT first_step, last_step, first_block, head FROM segment "
    "WHERE attempt=?1 AND kind=?2 AND level=0 AND first_step>=coalesce("
    "(SELECT max(first_step) FROM segment WHERE attempt=?1 AND kind=?2 AND level=0 "
    "AND first_step<?3), 0) AND first_step<=?4 AND last_step>=?3 ORDER BY first_step, id";

struct step_cursor {
    struct connection *c;
    struct codec *codec;
    int64_t from, to;
    sqlite3_stmt *journal, *segments;
    bool journal_done, segments_done;
    bool have_row;         // the journal's row at hand is not given yet
    int64_t row_step;      // its step
    struct loaded segment; // the one at hand
    bool have_segment;     // it is not given yet to its end
    size_t at;             // its next entry
    struct step_damage damage;
};

static int fail(struct step_cursor *c) {
    return connection_fail(c->c);
}

int cursor_open(struct step_cursor **out, struct connection *c, struct codec *codec,
                enum segment_kind kind, int64_t attempt, int64_t from, int64_t to) {
    struct step_cursor *cursor = NEW(struct step_cursor);
    *out = NULL;
    cursor->c = c;
    cursor->journal = connection_borrow(c, journal_sql[kind]);
    cursor->segments = cursor->journal ? connection_borrow(c, segment_sql) : NULL;
    if (!cursor->segments) {
        step_cursor_close(cursor);
        return -1;
    }
    cursor->codec = codec;
    cursor->from = from = from < 0 ? 0 : from;
    cursor->to = to = to > STEP_MAX ? STEP_MAX : to;
    sqlite3_bind_int64(cursor->journal, 1, schema_key(attempt, from));
    sqlite3_bind_int64(cursor->journal, 2, to < from ? -1 : schema_key(attempt, to));
    sqlite3_bind_int64(cursor->segments, 1, attempt);
    sqlite3_bind_int(cursor->segments, 2, (int)kind);
    sqlite3_bind_int64(cursor->segments, 3, from);
    sqlite3_bind_int64(cursor->segments, 4, to);
    *out = cursor;
    return 0;
}

static void leave_segment(struct step_cursor *c) {
    if (c->have_segment) {
        loaded_free(&c->segment);
    }
    c->have_segment = false;
}

// Decodes the segment of the row at hand. False: it is damaged.
static bool load_segment(struct step_cursor *c) {
    if (!loaded_read(&c->segment, c->c, c->codec, sqlite3_column_blob(c->segments, 3),
                     (size_t)sqlite3_column_bytes(c->segments, 3),
                     sqlite3_column_int64(c->segments, 2))) {
        return false;
    }
    if (c->segment.s.n_shapes == 0) {
        loaded_free(&c->segment);
        return false;
    }
    c->have_segment = true;
    c->at = 0;
    while (c->at < c->segment.s.n && c->segment.s.steps[c->at] < c->from) {
        c->at++;
    }
    return true;
}

static void note_damage(struct step_cursor *c, int64_t first, int64_t last) {
    struct step_damage *d = &c->damage;
    if (d->segments++ == 0) {
        d->first = first;
    }
    d->last = last;
    snprintf(c->c->error, sizeof c->c->error,
             "steps %lld to %lld are damaged in the store: a block's checksum is wrong",
             (long long)first, (long long)last);
}

// Makes the next segment that has entries the one at hand.
static int next_segment(struct step_cursor *c) {
    while (!c->have_segment && !c->segments_done) {
        int rc = sqlite3_step(c->segments);
        if (rc == SQLITE_DONE) {
            c->segments_done = true;
        } else if (rc != SQLITE_ROW) {
            return fail(c);
        } else if (!load_segment(c)) {
            note_damage(c, sqlite3_column_int64(c->segments, 0),
                        sqlite3_column_int64(c->segments, 1));
        } else if (c->at == c->segment.s.n || c->segment.s.steps[c->at] > c->to) {
            leave_segment(c);
        }
    }
    return 0;
}

static int next_row(struct step_cursor *c) {
    if (c->have_row || c->journal_done) {
        return 0;
    }
    int rc = sqlite3_step(c->journal);
    if (rc == SQLITE_ROW) {
        c->have_row = true;
        c->row_step = schema_key_step(sqlite3_column_int64(c->journal, 0));
        return 0;
    }
    c->journal_done = true;
    return rc == SQLITE_DONE ? 0 : fail(c);
}

static int give_row(struct step_cursor *c, struct step *out) {
    const void *blob = sqlite3_column_blob(c->journal, 1);
    c->have_row = false;
    if (!blob || !blob_decode(blob, (size_t)sqlite3_column_bytes(c->journal, 1), out)) {
        snprintf(c->c->error, sizeof c->c->error, "step %lld is damaged in the store",
                 (long long)c->row_step);
        return -1;
    }
    out->step = c->row_step;
    return 1;
}

static void give_fields(const struct step_cursor *c, struct step *out) {
    double *const fields[SEGMENT_FIELDS] = {&out->time,       &out->loss,       &out->lr,
                                            &out->batch_size, &out->loss_after, &out->val_loss};
    for (size_t i = 0; i < c->segment.s.n_columns; i++) {
        const struct column_key *key = &c->segment.s.columns[i].key;
        if (key->kind == COLUMN_FIELD) {
            *fields[key->id] = c->segment.columns[i][c->at];
        }
    }
}

static bool give_entry(struct step_cursor *c, struct step *out) {
    size_t n = c->segment.s.n, at = c->at;
    step_clear(out, c->segment.s.layers);
    out->step = c->segment.s.steps[at];
    give_fields(c, out);
    const uint16_t *shape = c->segment.s.shapes[c->segment.s.shape_of[at]];
    for (size_t i = 1; i <= shape[0]; i++) {
        const struct segment_column *column = &c->segment.s.columns[shape[i]];
        const double *values = c->segment.columns[shape[i]];
        const struct column_key *key = &column->key;
        if (key->kind == COLUMN_SCALAR) {
            if (!step_add_scalar(out, key->name, key->name_len, values[at])) {
                return false;
            }
            continue;
        }
        double *to = step_add_column(out, (enum statistic)key->id, key->name, key->name_len);
        for (size_t l = 0; to && l < column->rows; l++) {
            to[l] = values[l * n + at];
        }
        if (!to) {
            return false;
        }
    }
    return true;
}

int step_cursor_next(struct step_cursor *c, struct step *out) {
    if (next_segment(c) || next_row(c)) {
        return -1;
    }
    bool segment_first =
        c->have_segment && (!c->have_row || c->segment.s.steps[c->at] <= c->row_step);
    if (!segment_first) {
        return c->have_row ? give_row(c, out) : 0;
    }
    bool good = give_entry(c, out);
    if (!good) {
        snprintf(c->c->error, sizeof c->c->error, "step %lld cannot be rebuilt from its block",
                 (long long)c->segment.s.steps[c->at]);
    }
    if (++c->at == c->segment.s.n || c->segment.s.steps[c->at] > c->to) {
        leave_segment(c);
    }
    return good ? 1 : -1;
}

const struct step_damage *step_cursor_damage(const struct step_cursor *c) {
    return &c->damage;
}

void step_cursor_close(struct step_cursor *c) {
    if (c) {
        leave_segment(c);
        connection_give_back(c->c, c->journal);
        connection_give_back(c->c, c->segments);
        free(c);
    }
}
