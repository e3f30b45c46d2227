#include "storage/verify.h"

#include "base/memory.h"
#include "storage/blob.h"
#include "storage/blocks.h"
#include "storage/codec.h"
#include "storage/look.h"
#include "storage/place.h"
#include "storage/schema.h"
#include "storage/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Rows of the journal read in one transaction.
#define BATCH_ROWS 512

enum {
    SQL_RUN,
    SQL_STEPS,
    SQL_SCALARS,
    SQL_READINGS,
    SQL_SEGMENT,
    SQL_COUNT_SEGMENTS,
    SQL_CHECKPOINT,
    SQL_WAYPOINT,
    SQL_COUNT
};

// A row's key, the run's name and, where it is the run's, the attempt's id.
#define STATE_SQL(table, key)                                                                      \
    "SELECT s." key ", r.name, a.id, s.attempt, s.step, s.state FROM " table                       \
    " AS s LEFT JOIN run AS r ON r.id=s.run LEFT JOIN attempt AS a ON a.id=s.attempt AND "         \
    "a.run=s.run WHERE s." key ">?1 ORDER BY s." key " LIMIT 1"

static const char *const statements[SQL_COUNT] = {
    [SQL_RUN] = "SELECT r.name FROM attempt AS a JOIN run AS r ON r.id=a.run WHERE a.id=?1",
    [SQL_STEPS] = "SELECT key, key, columns FROM step WHERE key>?1 ORDER BY key LIMIT ?2",
    [SQL_SCALARS] = "SELECT id, key, columns FROM scalars WHERE id>?1 ORDER BY id LIMIT ?2",
    [SQL_READINGS] = "SELECT key, key, columns FROM reading WHERE key>?1 ORDER BY key LIMIT ?2",
    [SQL_SEGMENT] = "SELECT " PLACE_COLUMNS ", head FROM segment WHERE id>?1 ORDER BY id LIMIT 1",
    [SQL_COUNT_SEGMENTS] = "SELECT count(*) FROM segment",
    [SQL_CHECKPOINT] = STATE_SQL("checkpoint", "run"),
    [SQL_WAYPOINT] = STATE_SQL("waypoint", "id"),
};

static const char *const parts[SEGMENT_KINDS] = {"steps", "messages", "readings"};

struct verify {
    struct look look;
    const struct verify_calls *calls;
    struct verified *out;
    struct codec *codec;
    double *values; // of one chunk
};

static void tell(struct verify *v, const struct damage *d) {
    v->out->damages++;
    v->calls->damage(v->calls->context, d);
}

static void tell_database(struct verify *v, const char *what) {
    tell(v, &(struct damage){.kind = DAMAGE_DATABASE, .what = what});
}

// Tells damage of an attempt by its run's name.
static void tell_run(struct verify *v, struct damage *d) {
    sqlite3_stmt *q = connection_statement(&v->look.c, SQL_RUN);
    if (q) {
        sqlite3_bind_int64(q, 1, d->attempt);
        d->run = sqlite3_step(q) == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    }
    tell(v, d);
    sqlite3_reset(q);
}

static int ask_sqlite(struct verify *v, const char *pragma) {
    sqlite3_stmt *q = place_prepare(&v->look.c, pragma, NULL, 0);
    if (!q) {
        return -1;
    }
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(q, 0);
        if (line && strcmp(line, "ok") != 0) {
            tell_database(v, line);
        }
    }
    int result = rc == SQLITE_DONE ? 0 : connection_fail(&v->look.c);
    sqlite3_finalize(q);
    return result;
}

static void check_row(struct verify *v, sqlite3_stmt *q, const char *part, struct step *step) {
    const void *blob = sqlite3_column_blob(q, 2);
    v->out->journal_rows++;
    if (!blob || !blob_decode(blob, (size_t)sqlite3_column_bytes(q, 2), step)) {
        int64_t key = sqlite3_column_int64(q, 1), at = schema_key_step(key);
        tell_run(v, &(struct damage){.kind = DAMAGE_JOURNAL,
                                     .attempt = key >> SCHEMA_STEP_BITS,
                                     .part = part,
                                     .first_step = at,
                                     .last_step = at,
                                     .what = "its bytes are no step"});
    }
}

// The rows of one table of the journal, a batch a read transaction.
static int check_journal(struct verify *v, size_t which, const char *part) {
    struct step step;
    int64_t last = INT64_MIN;
    int n = BATCH_ROWS, rc = SQLITE_DONE;
    step_init(&step);
    while (n == BATCH_ROWS && rc == SQLITE_DONE) {
        sqlite3_stmt *q = connection_statement(&v->look.c, which);
        if (!q) {
            break;
        }
        sqlite3_bind_int64(q, 1, last);
        sqlite3_bind_int(q, 2, BATCH_ROWS);
        n = 0;
        while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
            last = sqlite3_column_int64(q, 0);
            check_row(v, q, part, &step);
            n++;
        }
        if (rc != SQLITE_DONE) {
            connection_fail(&v->look.c);
        }
        sqlite3_reset(q);
    }
    step_free(&step);
    return v->look.c.error[0] ? -1 : 0;
}

static void name_column(const struct column_key *key, struct buf *out) {
    static const char *const fields[SEGMENT_FIELDS] = {"time",       "loss",       "lr",
                                                       "batch_size", "loss_after", "val_loss"};
    static const char *const aggregates[AGGREGATES] = {"last",  "min",       "max", "mean",
                                                       "count", "nonfinite", "lag"};
    if (key->kind == COLUMN_FIELD && key->id < SEGMENT_FIELDS) {
        buf_puts(out, fields[key->id]);
    } else if (key->name_len) {
        buf_put(out, key->name, key->name_len);
    } else if (key->kind == COLUMN_STATISTIC && stat_name(key->id)) {
        buf_puts(out, stat_name(key->id));
    } else {
        buf_printf(out, "%u", key->id);
    }
    if (key->aggregate != AGGREGATE_LAST) {
        buf_printf(out, ".%s", aggregates[key->aggregate]);
    }
}

static struct damage of_place(const struct place *p, const char *what) {
    return (struct damage){.kind = DAMAGE_SEGMENT,
                           .attempt = p->attempt,
                           .part = p->kind < SEGMENT_KINDS ? parts[p->kind] : "unknown",
                           .first_step = p->first_step,
                           .last_step = p->last_step,
                           .segment = p->id,
                           .tier = (p->level + 1) / 2,
                           .what = what};
}

static void check_column(struct verify *v, const struct place *p, const struct segment *s,
                         const struct segment_column *column, struct blocks *blocks) {
    for (size_t i = 0; i < column->n_chunks; i++) {
        v->look.c.error[0] = '\0';
        v->out->chunks++;
        if (segment_read_chunk(s, column, i, v->codec, blocks_read, blocks, v->values)) {
            continue;
        }
        struct buf name;
        char what[sizeof v->look.c.error + 64] = "a block's checksum is wrong";
        if (v->look.c.error[0]) {
            snprintf(what, sizeof what, "a block cannot be read: %s", v->look.c.error);
            v->look.c.error[0] = '\0';
        }
        buf_init(&name, 512);
        name_column(&column->key, &name);
        struct damage d = of_place(p, what);
        d.column = buf_str(&name);
        d.first_layer = i * column->chunk_rows;
        d.last_layer = d.first_layer + segment_chunk_rows(column, i) - 1;
        tell_run(v, &d);
        buf_free(&name);
    }
}

static bool agrees(const struct place *p, const struct segment *s) {
    return s->kind == p->kind && s->level == p->level && (int64_t)s->n == p->n &&
           s->firsts[0] == p->first_step && s->steps[s->n - 1] == p->last_step &&
           (int64_t)s->n_blocks == p->n_blocks;
}

// The segment of the row at hand, whose statement keeps the read transaction open.
static void check_segment(struct verify *v, sqlite3_stmt *q, const struct place *p) {
    const int at = sqlite3_column_count(q) - 1;
    const void *head = sqlite3_column_blob(q, at);
    struct segment s;
    v->out->segments++;
    if (!head || segment_parse(&s, head, (size_t)sqlite3_column_bytes(q, at))) {
        struct damage d = of_place(p, "its head's checksum is wrong, or it is no head");
        tell_run(v, &d);
        return;
    }
    if (!agrees(p, &s)) {
        struct damage d = of_place(p, "its head and its row in the index say different things");
        tell_run(v, &d);
    }
    struct blocks blocks = {.c = &v->look.c, .first = p->first_block};
    for (size_t i = 0; i < s.n_columns; i++) {
        check_column(v, p, &s, &s.columns[i], &blocks);
    }
    blocks_close(&blocks);
    segment_free(&s);
}

// A segment that replaces another while this goes on has a later id, so it is met as well.
static int check_segments(struct verify *v) {
    int64_t total = 0, last = INT64_MIN;
    sqlite3_stmt *q = connection_statement(&v->look.c, SQL_COUNT_SEGMENTS);
    if (q && sqlite3_step(q) == SQLITE_ROW) {
        total = sqlite3_column_int64(q, 0);
    }
    sqlite3_reset(q);
    int rc;
    do {
        if (!(q = connection_statement(&v->look.c, SQL_SEGMENT))) {
            return -1;
        }
        sqlite3_bind_int64(q, 1, last);
        rc = sqlite3_step(q);
        if (rc == SQLITE_ROW) {
            struct place p;
            place_read(q, &p);
            check_segment(v, q, &p);
            last = p.id;
        } else if (rc != SQLITE_DONE) {
            connection_fail(&v->look.c);
        }
        sqlite3_reset(q);
        if (v->calls->progress) {
            v->calls->progress(v->calls->context, v->out->segments, total);
        }
    } while (rc == SQLITE_ROW);
    return rc == SQLITE_DONE ? 0 : -1;
}

static void check_state(struct verify *v, sqlite3_stmt *q, const char *part) {
    struct damage d = {.kind = DAMAGE_STATE,
                       .run = (const char *)sqlite3_column_text(q, 1),
                       .attempt = sqlite3_column_int64(q, 3),
                       .part = part,
                       .first_step = sqlite3_column_int64(q, 4)};
    const void *stored = sqlite3_column_blob(q, 5);
    size_t size;
    void *bytes = state_unpack(stored, (size_t)sqlite3_column_bytes(q, 5), &size, &d.what);
    v->out->states++;
    if (sqlite3_column_type(q, 2) == SQLITE_NULL) {
        d.what = "its run has no such attempt";
    } else if (!bytes && !d.what) {
        d.what = "no memory to unpack it";
    }
    if (d.what) {
        d.last_step = d.first_step;
        tell(v, &d);
    }
    free(bytes);
}

// The rows of a table of states, one a read transaction: they may be large.
static int check_states(struct verify *v, size_t which, const char *part) {
    int64_t last = INT64_MIN;
    int rc;
    do {
        sqlite3_stmt *q = connection_statement(&v->look.c, which);
        if (!q) {
            return -1;
        }
        sqlite3_bind_int64(q, 1, last);
        rc = sqlite3_step(q);
        if (rc == SQLITE_ROW) {
            last = sqlite3_column_int64(q, 0);
            check_state(v, q, part);
        } else if (rc != SQLITE_DONE) {
            connection_fail(&v->look.c);
        }
        sqlite3_reset(q);
    } while (rc == SQLITE_ROW);
    return rc == SQLITE_DONE ? 0 : -1;
}

// What cannot even be read is damage too, and ends only the part that it is in.
static void note(struct verify *v, int rc) {
    if (rc) {
        tell_database(v, v->look.c.error);
    }
    v->look.c.error[0] = '\0';
}

static void check_all(struct verify *v) {
    note(v, ask_sqlite(v, "PRAGMA integrity_check"));
    note(v, check_journal(v, SQL_STEPS, parts[SEGMENT_STEPS]));
    note(v, check_journal(v, SQL_SCALARS, parts[SEGMENT_MESSAGES]));
    if (v->out->version >= SCHEMA_VERSION_SEGMENTS) {
        note(v, check_segments(v));
    }
    if (v->out->version >= SCHEMA_VERSION_READINGS) {
        note(v, check_journal(v, SQL_READINGS, parts[SEGMENT_READINGS]));
    }
    note(v, check_states(v, SQL_CHECKPOINT, "checkpoint"));
    if (v->out->version >= SCHEMA_VERSION_WAYPOINTS) {
        note(v, check_states(v, SQL_WAYPOINT, "waypoint"));
    }
}

int verify_store(const char *path, const struct verify_calls *calls, struct verified *out,
                 struct buf *error) {
    struct verify v = {.calls = calls, .out = out};
    *out = (struct verified){0};
    int rc = look_open(&v.look, path, statements, SQL_COUNT, error);
    if (rc == 0) {
        out->version = v.look.version;
        v.codec = codec_create();
        v.values = must_alloc(SEGMENT_N_MAX * sizeof *v.values);
        check_all(&v);
        free(v.values);
        codec_destroy(v.codec);
        rc = look_check(&v.look, error);
    }
    look_close(&v.look);
    return rc;
}
