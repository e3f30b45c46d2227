#include "storage/reader.h"

#include "base/memory.h"
#include "storage/cursor.h"
#include "storage/reader_internal.h"
#include "storage/state.h"
#include "storage/statement.h"
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#define RUN_COLUMNS                                                                                \
    "id, name, project, status, started, last_seen, end_time, first_step, last_step, n_steps, "    \
    "loss, "                                                                                       \
    "facts"

enum {
    SQL_BEGIN,
    SQL_END,
    SQL_FIND_RUN,
    SQL_RUNS,
    SQL_ATTEMPTS,
    SQL_EVENTS,
    SQL_ALERTS,
    SQL_ALERT_COUNTS,
    SQL_KEPT,
    SQL_CHECKPOINT,
    SQL_WAYPOINT,
    SQL_COUNT
};

static const char *const statements[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN",
    [SQL_END] = "ROLLBACK",
    [SQL_FIND_RUN] = "SELECT " RUN_COLUMNS " FROM run WHERE name=?1",
    [SQL_RUNS] = "SELECT " RUN_COLUMNS " FROM run WHERE id<?1 AND (?2 IS NULL OR project=?2) AND "
                 "(?3 IS NULL OR status=?3) ORDER BY id DESC LIMIT ?4",
    [SQL_ATTEMPTS] =
        "SELECT id, run, rewind_step, is_rewind, started, facts FROM attempt WHERE run=?1 "
        "ORDER BY id",
    [SQL_EVENTS] =
        "SELECT id, run, attempt, step, after_step, time, name, data, derived FROM event "
        "WHERE run=?1 AND id>?2 AND CASE WHEN step<0 THEN after_step ELSE step END "
        "BETWEEN ?3 AND ?4 ORDER BY id LIMIT ?5",
    [SQL_ALERTS] = "SELECT " ALERT_COLUMNS " FROM alert AS a JOIN run AS r ON r.id=a.run "
                   "WHERE a.id<?1 AND (?2=0 OR a.run=?2) AND (?3<0 OR a.state=?3) AND "
                   "(?4<0 OR a.severity=?4) ORDER BY a.id DESC LIMIT ?5",
    // Those that go are the oldest of their attempt.
    [SQL_KEPT] = "SELECT sum(1 + (SELECT min(s.first_step) FROM segment AS s WHERE s.attempt=a.id "
                 "AND s.kind=0 AND s.level=0)) FROM attempt AS a WHERE a.run=?1",
    [SQL_ALERT_COUNTS] = "SELECT state, count(*) FROM alert WHERE run=?1 GROUP BY state",
    [SQL_CHECKPOINT] = "SELECT attempt, step, state FROM checkpoint WHERE run=?1",
    [SQL_WAYPOINT] = "SELECT attempt, step, state FROM waypoint WHERE run=?1 AND "
                     "(attempt, step)<=(?2, ?3) ORDER BY attempt DESC, step DESC LIMIT 1",
};

struct reader {
    struct connection c;
    struct codec *codec;
};

int reader_open(struct reader **out, const char *directory, struct buf *error) {
    struct reader *r = NEW(struct reader);
    r->codec = codec_create();
    struct buf path;
    buf_init(&path, 8192);
    buf_printf(&path, "%s/" STORE_FILE, directory);
    int rc =
        connection_open(&r->c, buf_str(&path), SQLITE_OPEN_READONLY, statements, SQL_COUNT, error);
    buf_free(&path);
    // The first question to a reader need not wait for the schema.
    if (rc == 0 && connection_exec(&r->c, "PRAGMA query_only=ON; SELECT 1 FROM run LIMIT 1")) {
        buf_puts(error, r->c.error);
        rc = -1;
    }
    if (rc) {
        reader_close(r);
        r = NULL;
    }
    *out = r;
    return rc;
}

void reader_close(struct reader *r) {
    if (r) {
        connection_close(&r->c);
        codec_destroy(r->codec);
        free(r);
    }
}

struct connection *reader_connection(struct reader *r) {
    return &r->c;
}

const char *reader_error(const struct reader *r) {
    return r->c.error;
}

int reader_begin(struct reader *r) {
    sqlite3_stmt *q = connection_statement(&r->c, SQL_BEGIN);
    return q ? connection_run(&r->c, q) : -1;
}

void reader_end(struct reader *r) {
    sqlite3_stmt *q = sqlite3_get_autocommit(r->c.db) ? NULL : connection_statement(&r->c, SQL_END);
    if (q && connection_run(&r->c, q)) {
        return; // the connection closes the read transaction on its own at the next error or close
    }
}

// After the last row: 0 when the statement ended well.
static int finish(struct reader *r, sqlite3_stmt *q, int rc) {
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : connection_fail(&r->c);
    sqlite3_reset(q);
    return result;
}

static void fill_run(sqlite3_stmt *q, struct run_record *out) {
    *out = (struct run_record){
        .id = sqlite3_column_int64(q, 0),
        .name = column_copy(q, 1),
        .project = column_copy(q, 2),
        .started = sqlite3_column_double(q, 4),
        .facts = column_copy(q, 11),
        .progress = {.run = sqlite3_column_int64(q, 0),
                     .status = (enum run_status)sqlite3_column_int(q, 3),
                     .last_seen = sqlite3_column_double(q, 5),
                     .end_time = sqlite3_column_double(q, 6),
                     .first_step = sqlite3_column_int64(q, 7),
                     .last_step = sqlite3_column_int64(q, 8),
                     .n_steps = sqlite3_column_int64(q, 9),
                     .loss = column_double_bits(q, 10)},
    };
}

int reader_find_run(struct reader *r, const char *name, struct run_record *out) {
    sqlite3_stmt *q = connection_statement(&r->c, SQL_FIND_RUN);
    if (!q) {
        return -1;
    }
    bind_text(q, 1, name);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        fill_run(q, out);
    }
    return finish(r, q, rc) ? -1 : rc == SQLITE_ROW;
}

int64_t reader_runs(struct reader *r, const struct run_filter *filter, int64_t limit,
                    run_row_fn *row, void *context) {
    sqlite3_stmt *q = connection_statement(&r->c, SQL_RUNS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, filter->before_id);
    bind_text(q, 2, filter->project);
    if (filter->status) {
        sqlite3_bind_int(q, 3, (int)*filter->status);
    }
    sqlite3_bind_int64(q, 4, limit);
    int64_t n = 0;
    int rc;
    bool more = true;
    while (more && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct run_record run;
        fill_run(q, &run);
        more = row(context, &run);
        run_record_free(&run);
        n++;
    }
    return finish(r, q, rc) ? -1 : n;
}

int reader_attempts(struct reader *r, int64_t run, struct attempt_record **out, size_t *n) {
    *out = NULL;
    *n = 0;
    sqlite3_stmt *q = connection_statement(&r->c, SQL_ATTEMPTS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, run);
    size_t cap = 0;
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (*n == cap) {
            cap = cap ? 2 * cap : 4;
            *out = must_grow(*out, cap * sizeof **out);
        }
        (*out)[(*n)++] = (struct attempt_record){.id = sqlite3_column_int64(q, 0),
                                                 .run = sqlite3_column_int64(q, 1),
                                                 .rewind_step = sqlite3_column_int64(q, 2),
                                                 .is_rewind = sqlite3_column_int(q, 3) != 0,
                                                 .started = sqlite3_column_double(q, 4),
                                                 .facts = column_copy(q, 5)};
    }
    return finish(r, q, rc);
}

int64_t reader_events(struct reader *r, int64_t run, const struct event_filter *filter,
                      int64_t limit, event_row_fn *row, void *context) {
    sqlite3_stmt *q = connection_statement(&r->c, SQL_EVENTS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, filter->after_id);
    sqlite3_bind_int64(q, 3, filter->from);
    sqlite3_bind_int64(q, 4, filter->to);
    sqlite3_bind_int64(q, 5, limit);
    int64_t n = 0;
    int rc;
    bool more = true;
    while (more && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct event_record e = {.id = sqlite3_column_int64(q, 0),
                                 .run = sqlite3_column_int64(q, 1),
                                 .attempt = sqlite3_column_int64(q, 2),
                                 .step = sqlite3_column_int64(q, 3),
                                 .after_step = sqlite3_column_int64(q, 4),
                                 .time = sqlite3_column_double(q, 5),
                                 .name = column_copy(q, 6),
                                 .data = column_copy(q, 7),
                                 .derived = sqlite3_column_int(q, 8) != 0};
        more = row(context, &e);
        event_record_free(&e);
        n++;
    }
    return finish(r, q, rc) ? -1 : n;
}

static void drop_empty(char **text) {
    if (*text && !**text) {
        free(*text);
        *text = NULL;
    }
}

void alert_fill(sqlite3_stmt *q, struct alert_record *out) {
    *out = (struct alert_record){.id = sqlite3_column_int64(q, 0),
                                 .run = sqlite3_column_int64(q, 1),
                                 .attempt = sqlite3_column_int64(q, 2),
                                 .run_name = column_copy(q, 3),
                                 .project = column_copy(q, 4),
                                 .rule = column_copy(q, 5),
                                 .layer = column_copy(q, 6),
                                 .severity = sqlite3_column_int(q, 7),
                                 .state = sqlite3_column_int(q, 8),
                                 .since = sqlite3_column_int64(q, 9),
                                 .step = sqlite3_column_int64(q, 10),
                                 .started = sqlite3_column_double(q, 11),
                                 .fired = sqlite3_column_double(q, 12),
                                 .resolved = sqlite3_column_double(q, 13),
                                 .changed = sqlite3_column_double(q, 14),
                                 .value = column_double_bits(q, 15),
                                 .threshold = column_double_bits(q, 16),
                                 .group = sqlite3_column_int64(q, 17),
                                 .summary = column_copy(q, 18),
                                 .acknowledged = sqlite3_column_double(q, 19),
                                 .closed_by = sqlite3_column_int(q, 20),
                                 .labels = column_copy(q, 21),
                                 .annotations = column_copy(q, 22),
                                 .no_data = sqlite3_column_int(q, 23),
                                 .group_rule = column_copy(q, 24),
                                 .group_layer = column_copy(q, 25),
                                 .inhibited = sqlite3_column_int(q, 26)};
    drop_empty(&out->layer);
    drop_empty(&out->group_layer);
}

int64_t reader_alerts(struct reader *r, const struct alert_filter *filter, int64_t limit,
                      alert_row_fn *row, void *context) {
    sqlite3_stmt *q = connection_statement(&r->c, SQL_ALERTS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, filter->before_id);
    sqlite3_bind_int64(q, 2, filter->run);
    sqlite3_bind_int(q, 3, filter->state);
    sqlite3_bind_int(q, 4, filter->severity);
    sqlite3_bind_int64(q, 5, limit);
    int64_t n = 0;
    int rc;
    bool more = true;
    while (more && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct alert_record a;
        alert_fill(q, &a);
        more = row(context, &a);
        alert_record_free(&a);
        n++;
    }
    return finish(r, q, rc) ? -1 : n;
}

int reader_alert_counts(struct reader *r, int64_t run, int64_t counts[3]) {
    counts[0] = counts[1] = counts[2] = 0;
    sqlite3_stmt *q = connection_statement(&r->c, SQL_ALERT_COUNTS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, run);
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        int state = sqlite3_column_int(q, 0);
        if (state >= 0 && state < 3) {
            counts[state] = sqlite3_column_int64(q, 1);
        }
    }
    return finish(r, q, rc);
}

static int read_state(struct reader *r, sqlite3_stmt *q, int64_t *attempt, int64_t *step,
                      void **bytes, size_t *size) {
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *attempt = sqlite3_column_int64(q, 0);
        *step = sqlite3_column_int64(q, 1);
    }
    if (rc == SQLITE_ROW && bytes) {
        const char *problem;
        const void *stored = sqlite3_column_blob(q, 2);
        *bytes = state_unpack(stored, (size_t)sqlite3_column_bytes(q, 2), size, &problem);
        if (!*bytes) {
            sqlite3_reset(q);
            return 0; // damaged: as if it were not there
        }
    }
    return finish(r, q, rc) ? -1 : rc == SQLITE_ROW;
}

int reader_checkpoint(struct reader *r, int64_t run, int64_t *attempt, int64_t *step, void **bytes,
                      size_t *size) {
    *bytes = NULL;
    sqlite3_stmt *q = connection_statement(&r->c, SQL_CHECKPOINT);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, run);
    return read_state(r, q, attempt, step, bytes, size);
}

int reader_waypoint(struct reader *r, int64_t run, int64_t *attempt, int64_t *step, void **bytes,
                    size_t *size) {
    sqlite3_stmt *q = connection_statement(&r->c, SQL_WAYPOINT);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, *attempt);
    sqlite3_bind_int64(q, 3, *step);
    return read_state(r, q, attempt, step, bytes, size);
}

int reader_kept(struct reader *r, int64_t run, int64_t *kept) {
    *kept = 0;
    sqlite3_stmt *q = connection_statement(&r->c, SQL_KEPT);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, run);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *kept = sqlite3_column_int64(q, 0);
    }
    return finish(r, q, rc);
}

struct codec *reader_codec(struct reader *r) {
    return r->codec;
}

int step_cursor_open(struct step_cursor **out, struct reader *r, int64_t attempt, int64_t from,
                     int64_t to) {
    return cursor_open(out, &r->c, r->codec, SEGMENT_STEPS, attempt, from, to);
}

int scalars_cursor_open(struct step_cursor **out, struct reader *r, int64_t attempt, int64_t from,
                        int64_t to) {
    return cursor_open(out, &r->c, r->codec, SEGMENT_MESSAGES, attempt, from, to);
}
