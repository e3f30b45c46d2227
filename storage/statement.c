#include "storage/statement.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// More are not kept.
#define KEPT_MAX 64

static sqlite3_mem_methods plain;

static void *take(int size) {
    void *p = plain.xMalloc(size);
    return p || !memory_let_go() ? p : plain.xMalloc(size);
}

static void *resize(void *old, int size) {
    void *p = plain.xRealloc(old, size);
    return p || !memory_let_go() ? p : plain.xRealloc(old, size);
}

// SQLite's allocations are tried again from the reserve, like our own. It does not count them:
// nobody asks, and each would lock a mutex that all threads share. Nor does a connection take memory
// for 20 pages at its first one: most of ours rest.
static void share_memory(void) {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) == SQLITE_OK) {
        sqlite3_mem_methods ours = plain;
        ours.xMalloc = take;
        ours.xRealloc = resize;
        sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
    }
}

int connection_open(struct connection *c, const char *path, int flags, const char *const *sql,
                    size_t n, struct buf *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, share_memory);
    *c = (struct connection){.sql = sql, .n = n};
    int rc =
        sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) {
        buf_printf(error, "%s: %s", path, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
        sqlite3_close(c->db);
        c->db = NULL;
        return -1;
    }
    sqlite3_busy_timeout(c->db, STATEMENT_BUSY_TIMEOUT_MS);
    c->prepared = must_alloc(n * sizeof(sqlite3_stmt *));
    return 0;
}

void connection_close(struct connection *c) {
    for (size_t i = 0; i < c->n && c->prepared; i++) {
        sqlite3_finalize(c->prepared[i]);
    }
    for (size_t i = 0; i < c->n_kept; i++) {
        sqlite3_finalize(c->kept[i].q);
    }
    free(c->kept);
    free(c->prepared);
    sqlite3_close(c->db);
    *c = (struct connection){0};
}

int connection_keep_wal(struct connection *c) {
    int is_on = 0;
    int rc = sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &is_on);
    return rc == SQLITE_OK && is_on ? 0 : connection_fail(c);
}

int connection_fail(struct connection *c) {
    snprintf(c->error, sizeof c->error, "%s (SQLite %d)", sqlite3_errmsg(c->db),
             sqlite3_extended_errcode(c->db));
    return -1;
}

sqlite3_stmt *connection_statement(struct connection *c, size_t which) {
    CHECK(which < c->n);
    if (!c->prepared[which] &&
        sqlite3_prepare_v3(c->db, c->sql[which], -1, SQLITE_PREPARE_PERSISTENT, &c->prepared[which],
                           NULL) != SQLITE_OK) {
        connection_fail(c);
        return NULL;
    }
    sqlite3_reset(c->prepared[which]);
    sqlite3_clear_bindings(c->prepared[which]);
    return c->prepared[which];
}

sqlite3_stmt *connection_borrow(struct connection *c, const char *sql) {
    for (size_t i = 0; i < c->n_kept; i++) {
        if (c->kept[i].sql == sql && !c->kept[i].is_lent) {
            c->kept[i].is_lent = true;
            return c->kept[i].q;
        }
    }
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q, NULL) != SQLITE_OK) {
        connection_fail(c);
        return NULL;
    }
    if (c->n_kept < KEPT_MAX) {
        c->kept = must_grow(c->kept, (c->n_kept + 1) * sizeof *c->kept);
        c->kept[c->n_kept++] = (struct kept_statement){.sql = sql, .q = q, .is_lent = true};
    }
    return q;
}

void connection_give_back(struct connection *c, sqlite3_stmt *q) {
    for (size_t i = 0; q && i < c->n_kept; i++) {
        if (c->kept[i].q == q) {
            sqlite3_reset(q);
            sqlite3_clear_bindings(q);
            c->kept[i].is_lent = false;
            return;
        }
    }
    sqlite3_finalize(q);
}

int connection_run(struct connection *c, sqlite3_stmt *q) {
    int rc;
    do {
        rc = sqlite3_step(q);
    } while (rc == SQLITE_ROW);
    int result = rc == SQLITE_DONE ? 0 : connection_fail(c);
    sqlite3_reset(q);
    return result;
}

int connection_finish(struct connection *c, sqlite3_stmt *q) {
    int rc = q ? connection_run(c, q) : -1;
    connection_give_back(c, q);
    return rc;
}

int connection_exec(struct connection *c, const char *sql) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : connection_fail(c);
}

void bind_double_bits(sqlite3_stmt *q, int at, const double *x) {
    sqlite3_bind_blob(q, at, x, sizeof *x, SQLITE_TRANSIENT);
}

double column_double_bits(sqlite3_stmt *q, int at) {
    double x = 0;
    if (sqlite3_column_bytes(q, at) == sizeof x) {
        memcpy(&x, sqlite3_column_blob(q, at), sizeof x);
    }
    return x;
}

void bind_text(sqlite3_stmt *q, int at, const char *text) {
    sqlite3_bind_text(q, at, text, -1, SQLITE_STATIC);
}

char *column_copy(sqlite3_stmt *q, int at) {
    const char *text = (const char *)sqlite3_column_text(q, at);
    if (!text) {
        return NULL;
    }
    return must_copy(text);
}
