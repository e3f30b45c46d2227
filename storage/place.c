#include "storage/place.h"

static void bind_all(sqlite3_stmt *q, const int64_t *arguments, int n) {
    for (int i = 0; i < n; i++) {
        sqlite3_bind_int64(q, i + 1, arguments[i]);
    }
}

sqlite3_stmt *place_prepare(struct connection *c, const char *sql, const int64_t *arguments,
                            int n) {
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(c->db, sql, -1, &q, NULL) != SQLITE_OK) {
        connection_fail(c);
        return NULL;
    }
    bind_all(q, arguments, n);
    return q;
}

sqlite3_stmt *place_borrow(struct connection *c, const char *sql, const int64_t *arguments, int n) {
    sqlite3_stmt *q = connection_borrow(c, sql);
    bind_all(q, arguments, q ? n : 0);
    return q;
}

int place_run(struct connection *c, const char *sql, const int64_t *arguments, int n) {
    return connection_finish(c, place_borrow(c, sql, arguments, n));
}

void place_read(sqlite3_stmt *q, struct place *out) {
    *out = (struct place){.id = sqlite3_column_int64(q, 0),
                          .attempt = sqlite3_column_int64(q, 1),
                          .kind = (enum segment_kind)sqlite3_column_int(q, 2),
                          .level = (unsigned)sqlite3_column_int(q, 3),
                          .first_step = sqlite3_column_int64(q, 4),
                          .last_step = sqlite3_column_int64(q, 5),
                          .n = sqlite3_column_int64(q, 6),
                          .time = sqlite3_column_double(q, 7),
                          .bytes = sqlite3_column_int64(q, 8),
                          .first_block = sqlite3_column_int64(q, 9),
                          .n_blocks = sqlite3_column_int64(q, 10)};
}

int place_last(struct connection *c, int64_t attempt, enum segment_kind kind, unsigned level,
               struct place *out) {
    const int64_t arguments[] = {attempt, kind, level};
    sqlite3_stmt *q = place_borrow(c,
                                   "SELECT " PLACE_COLUMNS
                                   " FROM segment WHERE attempt=?1 AND kind=?2 AND level=?3 "
                                   "ORDER BY first_step DESC, id DESC LIMIT 1",
                                   arguments, 3);
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        place_read(q, out);
    }
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(c);
    connection_give_back(c, q);
    return result;
}

// Blocks of a segment follow each other.
static int insert_blocks(struct connection *c, const struct packed *p, int64_t *first) {
    sqlite3_stmt *q = place_borrow(c, "SELECT coalesce(max(id), 0) + 1 FROM block", NULL, 0);
    if (!q || sqlite3_step(q) != SQLITE_ROW) {
        connection_fail(c);
        connection_give_back(c, q);
        return -1;
    }
    *first = sqlite3_column_int64(q, 0);
    connection_give_back(c, q);
    q = place_borrow(c, "INSERT INTO block (id, data) VALUES (?1, ?2)", NULL, 0);
    int rc = q ? 0 : -1;
    for (size_t i = 0, start = 0; rc == 0 && i < p->n_blocks; i++) {
        sqlite3_bind_int64(q, 1, *first + (int64_t)i);
        sqlite3_bind_blob64(q, 2, p->blocks.data + start, p->ends[i] - start, SQLITE_STATIC);
        rc = connection_run(c, q);
        start = p->ends[i];
    }
    connection_give_back(c, q);
    return rc;
}

int place_insert(struct connection *c, int64_t attempt, const struct packed *p, double time) {
    int64_t first_block = 0;
    if (insert_blocks(c, p, &first_block)) {
        return -1;
    }
    const int64_t arguments[] = {attempt,       p->kind,      p->level,
                                 p->first_step, p->last_step, (int64_t)p->n};
    sqlite3_stmt *q = place_borrow(
        c,
        "INSERT INTO segment (attempt, kind, level, first_step, last_step, n, time, bytes, "
        "first_block, n_blocks, head) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        arguments, 6);
    if (!q) {
        return -1;
    }
    sqlite3_bind_double(q, 7, time > 0 ? time : 0); // a NaN would become NULL
    sqlite3_bind_int64(q, 8, (int64_t)(p->head.len + p->blocks.len));
    sqlite3_bind_int64(q, 9, first_block);
    sqlite3_bind_int64(q, 10, (int64_t)p->n_blocks);
    sqlite3_bind_blob64(q, 11, p->head.data, p->head.len, SQLITE_STATIC);
    return connection_finish(c, q);
}

int place_delete(struct connection *c, const struct place *p) {
    const int64_t blocks[] = {p->first_block, p->first_block + p->n_blocks - 1};
    return place_run(c, "DELETE FROM block WHERE id BETWEEN ?1 AND ?2", blocks, 2) ||
                   place_run(c, "DELETE FROM segment WHERE id=?1", &p->id, 1)
               ? -1
               : 0;
}
