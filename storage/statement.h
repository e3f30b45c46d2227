// Prepared statements, kept until their connection closes: those of its table of SQL, one each, and
// others that are borrowed.
#ifndef STORAGE_STATEMENT_H
#define STORAGE_STATEMENT_H

#include "base/buf.h"
#include "base/check.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_BUSY_TIMEOUT_MS 5000

struct kept_statement {
    const char *sql;
    sqlite3_stmt *q;
    bool is_lent;
};

struct connection {
    sqlite3 *db;
    const char *const *sql; // the table
    sqlite3_stmt **prepared;
    size_t n;
    struct kept_statement *kept; // that were borrowed
    size_t n_kept;
    char error[320];
};

// flags: those of sqlite3_open_v2. `sql` must outlive the connection.
int connection_open(struct connection *c, const char *path, int flags, const char *const *sql,
                    size_t n, struct buf *error) WARN_UNUSED;
void connection_close(struct connection *c);
// For connections of other processes than the daemon: even as the last one to close, it does not
// checkpoint.
int connection_keep_wal(struct connection *c) WARN_UNUSED;
// The statement, reset and unbound, or NULL with c->error.
sqlite3_stmt *connection_statement(struct connection *c, size_t which);
// One for any SQL, which must outlive the connection; several of the same may be lent at once. To
// be given back, reset or not; NULL is nothing. NULL with c->error.
sqlite3_stmt *connection_borrow(struct connection *c, const char *sql) WARN_UNUSED;
void connection_give_back(struct connection *c, sqlite3_stmt *q);
// Runs a borrowed one to its end and gives it back. NULL is the failure it stands for.
int connection_finish(struct connection *c, sqlite3_stmt *q) WARN_UNUSED;
// Runs a statement to its end; what it returns is ignored. Resets it.
int connection_run(struct connection *c, sqlite3_stmt *q) WARN_UNUSED;
int connection_exec(struct connection *c, const char *sql) WARN_UNUSED;
// Keeps SQLite's message; returns -1.
int connection_fail(struct connection *c);

// Doubles as their eight bytes, because a REAL column turns NaN into NULL and -0.0 into 0.
void bind_double_bits(sqlite3_stmt *q, int at, const double *x);
double column_double_bits(sqlite3_stmt *q, int at);
void bind_text(sqlite3_stmt *q, int at,
               const char *text);           // NULL binds NULL; borrowed until the step
char *column_copy(sqlite3_stmt *q, int at); // the caller's; NULL for NULL

#endif
