// Writing alerts: one row an alert, brought up to date as it lives.
#include "storage/statement.h"
#include "storage/store.h"
#include "storage/store_internal.h"

#include <string.h>

// A row keeps the labels with which it began, by which receivers know it, whatever its rule says
// later. While it is resolved it keeps the value, threshold and step with which it fired, and the time
// at which it first fired whatever its severity becomes later.
static const char put_sql[] =
    "INSERT INTO alert (run, attempt, rule, layer, since, severity, state, step, started, fired, "
    "resolved, changed, value, threshold, alert_group, summary, acknowledged, closed_by, labels, "
    "annotations) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, ?15, 0, ?16, ?17, "
    "?18) "
    "ON CONFLICT (run, attempt, rule, layer, since) DO UPDATE SET severity=?6, state=?7, "
    "changed=?12, closed_by=?16, "
    "resolved=?11, fired=CASE WHEN fired=0 THEN ?10 ELSE fired END, "
    "step=CASE WHEN ?11=0 THEN ?8 ELSE step END, value=CASE WHEN ?11=0 THEN ?13 ELSE value END, "
    "threshold=CASE WHEN ?11=0 THEN ?14 ELSE threshold END, "
    "summary=CASE WHEN ?11=0 THEN ?15 ELSE summary END "
    "RETURNING id, started";

static const char group_sql[] =
    "UPDATE alert SET alert_group=coalesce((SELECT first.id FROM alert AS first WHERE first.run=?2 "
    "AND first.attempt=?3 AND first.rule=?4 AND first.layer=?5 AND first.since=?6), id) WHERE "
    "id=?1 RETURNING alert_group";

static const char change_sql[] =
    "INSERT INTO alert_change (alert, severity, state, step, time, value, summary) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (alert, state, severity) DO NOTHING";

static const char notice_sql[] =
    "INSERT INTO notice (receiver, alert, severity, state) VALUES (?1, ?2, ?3, ?4)";

static const char cancel_sql[] = "DELETE FROM alert WHERE run=?1 AND attempt=?2 AND rule=?3 AND "
                                 "layer=?4 AND since=?5";

static void bind_key(sqlite3_stmt *q, int at, const struct alert_record *a) {
    sqlite3_bind_int64(q, at, a->run);
    sqlite3_bind_int64(q, at + 1, a->attempt);
    bind_text(q, at + 2, a->rule);
    bind_text(q, at + 3, a->layer ? a->layer : "");
    sqlite3_bind_int64(q, at + 4, a->since);
}

static int cancel(struct connection *c, const struct alert_record *a) {
    sqlite3_stmt *q = connection_borrow(c, cancel_sql);
    if (!q) {
        return -1;
    }
    bind_key(q, 1, a);
    return connection_finish(c, q);
}

static int put(struct connection *c, struct alert_record *a) {
    sqlite3_stmt *q = connection_borrow(c, put_sql);
    if (!q) {
        return -1;
    }
    bind_key(q, 1, a);
    sqlite3_bind_int(q, 6, a->severity);
    sqlite3_bind_int(q, 7, a->state);
    sqlite3_bind_int64(q, 8, a->step);
    sqlite3_bind_double(q, 9, a->started);
    sqlite3_bind_double(q, 10, a->fired);
    sqlite3_bind_double(q, 11, a->resolved);
    sqlite3_bind_double(q, 12, a->changed);
    bind_double_bits(q, 13, &a->value);
    bind_double_bits(q, 14, &a->threshold);
    bind_text(q, 15, a->summary);
    sqlite3_bind_int(q, 16, a->closed_by);
    bind_text(q, 17, a->labels ? a->labels : "");
    bind_text(q, 18, a->annotations ? a->annotations : "");
    if (sqlite3_step(q) != SQLITE_ROW) {
        connection_fail(c);
        connection_give_back(c, q);
        return -1;
    }
    a->id = sqlite3_column_int64(q, 0);
    a->started = sqlite3_column_double(q, 1);
    return connection_finish(c, q);
}

static int put_group(struct connection *c, struct alert_record *a) {
    sqlite3_stmt *q = connection_borrow(c, group_sql);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, a->id);
    sqlite3_bind_int64(q, 2, a->run);
    sqlite3_bind_int64(q, 3, a->attempt);
    bind_text(q, 4, a->group_rule ? a->group_rule : a->rule);
    bind_text(q, 5, a->group_layer ? a->group_layer : "");
    sqlite3_bind_int64(q, 6, a->group_since);
    if (sqlite3_step(q) != SQLITE_ROW) {
        connection_fail(c);
        connection_give_back(c, q);
        return -1;
    }
    a->group = sqlite3_column_int64(q, 0);
    return connection_finish(c, q);
}

// *is_new: the alert was not in this state with this severity before.
static int put_change(struct connection *c, const struct alert_record *a, bool *is_new) {
    sqlite3_stmt *q = connection_borrow(c, change_sql);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, a->id);
    sqlite3_bind_int(q, 2, a->severity);
    sqlite3_bind_int(q, 3, a->state);
    sqlite3_bind_int64(q, 4, a->step);
    sqlite3_bind_double(q, 5, a->changed);
    bind_double_bits(q, 6, &a->value);
    bind_text(q, 7, a->summary);
    int rc = connection_finish(c, q);
    *is_new = sqlite3_changes(c->db) > 0;
    return rc;
}

static int put_notice(struct connection *c, const struct alert_record *a, const char *name,
                      size_t len, int64_t *id) {
    sqlite3_stmt *q = connection_borrow(c, notice_sql);
    if (!q) {
        return -1;
    }
    sqlite3_bind_text(q, 1, name, (int)len, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, a->id);
    sqlite3_bind_int(q, 3, a->severity);
    sqlite3_bind_int(q, 4, a->state);
    int rc = connection_finish(c, q);
    *id = sqlite3_last_insert_rowid(c->db);
    return rc;
}

// One notice a receiver, numbered one after the other because nobody else writes.
static int put_notices(struct connection *c, struct alert_record *a) {
    for (const char *at = a->receivers; at && *at;) {
        size_t len = strcspn(at, "\n");
        int64_t id;
        if (put_notice(c, a, at, len, &id)) {
            return -1;
        }
        a->notice = a->notice ? a->notice : id;
        at += len + (at[len] == '\n');
    }
    return 0;
}

int store_put_alert(struct store *s, struct alert_record *a, bool cancelled) {
    struct connection *c = store_connection(s);
    bool is_new;
    a->id = a->group = a->notice = 0;
    if (cancelled) {
        return cancel(c, a);
    }
    if (put(c, a) || put_group(c, a) || put_change(c, a, &is_new)) {
        return -1;
    }
    return is_new ? put_notices(c, a) : 0;
}
