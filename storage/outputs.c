#include "storage/outputs.h"

#include "base/memory.h"
#include "storage/reader_internal.h"

#include <stdlib.h>

struct outputs_cursor {
    struct connection *connection;
    sqlite3_stmt *q;
};

int outputs_cursor_open(struct outputs_cursor **out, struct reader *r, int64_t run, int64_t skip) {
    static const char sql[] = "SELECT id, run, attempt, step, after_step, after_events, line "
                              "FROM outputs WHERE run=?1 ORDER BY id LIMIT -1 OFFSET ?2";
    struct connection *connection = reader_connection(r);
    sqlite3_stmt *q = NULL;
    *out = NULL;
    if (sqlite3_prepare_v2(connection->db, sql, -1, &q, NULL) != SQLITE_OK) {
        return connection_fail(connection);
    }
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, skip);
    struct outputs_cursor *c = NEW(struct outputs_cursor);
    c->connection = connection;
    c->q = q;
    *out = c;
    return 0;
}

int outputs_cursor_next(struct outputs_cursor *c, struct outputs_record *out) {
    int rc = sqlite3_step(c->q);
    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? 0 : connection_fail(c->connection);
    }
    *out = (struct outputs_record){
        .id = sqlite3_column_int64(c->q, 0),
        .run = sqlite3_column_int64(c->q, 1),
        .attempt = sqlite3_column_int64(c->q, 2),
        .step = sqlite3_column_int64(c->q, 3),
        .after_step = sqlite3_column_int64(c->q, 4),
        .after_events = sqlite3_column_int64(c->q, 5),
        .line = column_copy(c->q, 6),
    };
    return 1;
}

void outputs_cursor_close(struct outputs_cursor *c) {
    if (c) {
        sqlite3_finalize(c->q);
        free(c);
    }
}
