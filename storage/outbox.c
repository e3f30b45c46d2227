#include "storage/outbox.h"

#include "storage/reader_internal.h"
#include "storage/store_internal.h"

#include <stdlib.h>

// All of this happens seldom: statements are prepared each time.
static sqlite3_stmt *prepare(struct connection *c, const char *sql) {
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(c->db, sql, -1, &q, NULL) != SQLITE_OK) {
        connection_fail(c);
    }
    return q;
}

static int finish(struct connection *c, sqlite3_stmt *q) {
    int rc = connection_run(c, q);
    sqlite3_finalize(q);
    return rc;
}

int store_delete_notice(struct store *s, int64_t id) {
    struct connection *c = store_connection(s);
    sqlite3_stmt *q = prepare(c, "DELETE FROM notice WHERE id=?1");
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, id);
    return finish(c, q);
}

int store_put_silence(struct store *s, const struct silence_record *silence) {
    struct connection *c = store_connection(s);
    sqlite3_stmt *q =
        prepare(c, "INSERT INTO silence (id, starts, ends, created, created_by, comment, matchers) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING");
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, silence->id);
    sqlite3_bind_double(q, 2, silence->starts);
    sqlite3_bind_double(q, 3, silence->ends);
    sqlite3_bind_double(q, 4, silence->created);
    bind_text(q, 5, silence->created_by);
    bind_text(q, 6, silence->comment);
    bind_text(q, 7, silence->matchers);
    return finish(c, q);
}

int store_end_silence(struct store *s, int64_t id, double now) {
    struct connection *c = store_connection(s);
    sqlite3_stmt *q = prepare(c, "UPDATE silence SET ends=?2 WHERE id=?1 AND ends>?2");
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_double(q, 2, now);
    return finish(c, q);
}

// After the last row.
static int64_t ended(struct connection *c, sqlite3_stmt *q, int rc, int64_t n) {
    int64_t result = rc == SQLITE_DONE || rc == SQLITE_ROW ? n : connection_fail(c);
    sqlite3_finalize(q);
    return result;
}

int64_t reader_notices(struct reader *r, notice_row_fn *row, void *context) {
    struct connection *c = reader_connection(r);
    sqlite3_stmt *q = prepare(
        c, "SELECT " ALERT_COLUMNS ", n.id, n.receiver, n.severity, n.state, c.time, c.summary FROM notice AS n JOIN "
           "alert AS a ON a.id=n.alert JOIN run AS r ON r.id=a.run JOIN alert_change AS c ON "
           "c.alert=n.alert AND c.state=n.state AND c.severity=n.severity ORDER BY n.id");
    int64_t n = 0;
    int rc = SQLITE_DONE;
    while (q && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct notice_record notice = {.id = sqlite3_column_int64(q, ALERT_COLUMN_COUNT),
                                       .receiver = column_copy(q, ALERT_COLUMN_COUNT + 1)};
        alert_fill(q, &notice.alert);
        notice.alert.severity = sqlite3_column_int(q, ALERT_COLUMN_COUNT + 2);
        notice.alert.state = sqlite3_column_int(q, ALERT_COLUMN_COUNT + 3);
        notice.alert.changed = sqlite3_column_double(q, ALERT_COLUMN_COUNT + 4);
        free(notice.alert.summary);
        notice.alert.summary = column_copy(q, ALERT_COLUMN_COUNT + 5);
        row(context, &notice);
        alert_record_free(&notice.alert);
        free(notice.receiver);
        n++;
    }
    return q ? ended(c, q, rc, n) : -1;
}

void silence_record_free(struct silence_record *s) {
    free(s->created_by);
    free(s->comment);
    free(s->matchers);
    *s = (struct silence_record){0};
}

int reader_newest_silence(struct reader *r, int64_t *id) {
    struct connection *c = reader_connection(r);
    sqlite3_stmt *q = prepare(c, "SELECT coalesce(max(id), 0) FROM silence");
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    *id = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    return ended(c, q, rc, 0) < 0 ? -1 : 0;
}

int64_t reader_silences(struct reader *r, double after, silence_row_fn *row, void *context) {
    return reader_silence_page(r, after, INT64_MAX, INT64_MAX, row, context);
}

int64_t reader_silence_page(struct reader *r, double after, int64_t before_id, int64_t limit,
                            silence_row_fn *row, void *context) {
    struct connection *c = reader_connection(r);
    sqlite3_stmt *q = prepare(c, "SELECT id, starts, ends, created, created_by, comment, matchers "
                                 "FROM silence WHERE ends>?1 AND id<?2 ORDER BY id DESC LIMIT ?3");
    if (!q) {
        return -1;
    }
    sqlite3_bind_double(q, 1, after);
    sqlite3_bind_int64(q, 2, before_id);
    sqlite3_bind_int64(q, 3, limit);
    int64_t n = 0;
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct silence_record s = {.id = sqlite3_column_int64(q, 0),
                                   .starts = sqlite3_column_double(q, 1),
                                   .ends = sqlite3_column_double(q, 2),
                                   .created = sqlite3_column_double(q, 3),
                                   .created_by = column_copy(q, 4),
                                   .comment = column_copy(q, 5),
                                   .matchers = column_copy(q, 6)};
        row(context, &s);
        silence_record_free(&s);
        n++;
    }
    return ended(c, q, rc, n);
}

int64_t reader_active_alerts(struct reader *r, double since, alert_row_fn *row, void *context) {
    struct connection *c = reader_connection(r);
    sqlite3_stmt *q = prepare(c, "SELECT " ALERT_COLUMNS " FROM alert AS a JOIN run AS r ON "
                                 "r.id=a.run WHERE a.state=1 OR (a.state=2 AND a.resolved>=?1) "
                                 "ORDER BY a.id");
    if (!q) {
        return -1;
    }
    sqlite3_bind_double(q, 1, since);
    int64_t n = 0;
    int rc;
    bool more = true;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW && more) {
        struct alert_record a;
        alert_fill(q, &a);
        more = row(context, &a);
        alert_record_free(&a);
        n++;
    }
    return ended(c, q, rc, n);
}

int64_t reader_alert_history(struct reader *r, int64_t alert, alert_change_row_fn *row,
                             void *context) {
    struct connection *c = reader_connection(r);
    sqlite3_stmt *q = prepare(c, "SELECT severity, state, step, time, value, summary FROM "
                                 "alert_change WHERE alert=?1 ORDER BY id");
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, alert);
    int64_t n = 0;
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct alert_change_record change = {.severity = sqlite3_column_int(q, 0),
                                             .state = sqlite3_column_int(q, 1),
                                             .step = sqlite3_column_int64(q, 2),
                                             .time = sqlite3_column_double(q, 3),
                                             .value = column_double_bits(q, 4),
                                             .summary = column_copy(q, 5)};
        row(context, &change);
        free(change.summary);
        n++;
    }
    return ended(c, q, rc, n);
}
