#include "storage/upkeep.h"

#include "storage/place.h"
#include "storage/schema.h"
#include "storage/upkeep_state.h"

#include <stdio.h>
#include <string.h>

// Free pages that are kept for what comes next, and how many are given back at a time.
#define FREE_PAGES 16
#define FREE_PAGES_BUSY 16384
#define SLICE_PAGES 512
#define SWEEP_ROWS 4096
#define SWEEP_BYTES ((int64_t)4 << 20)

struct upkeep *upkeep_create(struct connection *c) {
    struct upkeep *u = NEW(struct upkeep);
    u->c = c;
    u->codec = codec_create();
    return u;
}

void upkeep_destroy(struct upkeep *u) {
    if (u) {
        codec_destroy(u->codec);
        free(u);
    }
}

int upkeep_begin(struct connection *c) {
    return place_run(c, "BEGIN IMMEDIATE", NULL, 0);
}

int upkeep_end(struct connection *c, int rc) {
    if (rc >= 0 && place_run(c, "COMMIT", NULL, 0) == 0) {
        return rc;
    }
    char error[sizeof c->error];
    memcpy(error, c->error, sizeof error);
    if (!sqlite3_get_autocommit(c->db) && connection_exec(c, "ROLLBACK")) {
        error[sizeof error - 1] = '\0';
    }
    memcpy(c->error, error, sizeof error);
    return -1;
}

int upkeep_integer(struct connection *c, const char *sql, const int64_t *arguments, int n,
                   int64_t *value) {
    sqlite3_stmt *q = place_borrow(c, sql, arguments, n);
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(c);
    connection_give_back(c, q);
    return result;
}

// Segments of the attempt until SWEEP_BYTES are deleted. 1 when there were some.
static int sweep_segments(struct connection *c, int64_t attempt) {
    int64_t bytes = 0;
    int found = 0;
    while (bytes < SWEEP_BYTES) {
        sqlite3_stmt *q = place_borrow(
            c, "SELECT " PLACE_COLUMNS " FROM segment WHERE attempt=?1 LIMIT 1", &attempt, 1);
        struct place p;
        int rc = q ? sqlite3_step(q) : SQLITE_ERROR;
        if (rc == SQLITE_ROW) {
            place_read(q, &p);
        } else if (rc != SQLITE_DONE) {
            connection_fail(c);
        }
        connection_give_back(c, q);
        if (rc != SQLITE_ROW) {
            return rc == SQLITE_DONE ? found : -1;
        }
        if (place_delete(c, &p)) {
            return -1;
        }
        found = 1;
        bytes += p.bytes;
    }
    return found;
}

static int sweep_rows(struct connection *c, const char *sql, int64_t attempt) {
    const int64_t arguments[] = {schema_key(attempt, 0), schema_key(attempt + 1, 0) - 1,
                                 SWEEP_ROWS};
    return place_run(c, sql, arguments, 3) ? -1 : sqlite3_changes(c->db) > 0;
}

// A piece of one garbage attempt; when nothing is left of it, the note of it.
static int sweep(struct connection *c, int64_t attempt) {
    int rc = sweep_segments(c, attempt);
    if (rc == 0) {
        rc = sweep_rows(c,
                        "DELETE FROM step WHERE key IN (SELECT key FROM step "
                        "WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
                        attempt);
    }
    if (rc == 0) {
        rc = sweep_rows(c,
                        "DELETE FROM scalars WHERE id IN (SELECT id FROM scalars "
                        "WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
                        attempt);
    }
    if (rc == 0) {
        rc = sweep_rows(c,
                        "DELETE FROM reading WHERE key IN (SELECT key FROM reading "
                        "WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
                        attempt);
    }
    if (rc == 0 && place_run(c, "DELETE FROM garbage WHERE attempt=?1", &attempt, 1)) {
        rc = -1;
    }
    return rc < 0 ? -1 : 1;
}

int upkeep_sweep(struct upkeep *u) {
    int64_t attempt;
    int rc = upkeep_integer(u->c, "SELECT attempt FROM garbage LIMIT 1", NULL, 0, &attempt);
    if (rc <= 0) {
        return rc;
    }
    if (upkeep_begin(u->c)) {
        return -1;
    }
    return upkeep_end(u->c, sweep(u->c, attempt));
}

int upkeep_give_back(struct upkeep *u, int64_t pages) {
    int64_t before, after;
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%lld)", (long long)pages);
    if (upkeep_integer(u->c, "PRAGMA freelist_count", NULL, 0, &before) < 0 ||
        connection_exec(u->c, sql) ||
        upkeep_integer(u->c, "PRAGMA freelist_count", NULL, 0, &after) < 0) {
        return -1;
    }
    return after < before; // a store without incremental vacuum keeps its pages
}

int upkeep_vacuum(struct upkeep *u, bool idle) {
    int64_t free_pages, pages;
    if (upkeep_integer(u->c, "PRAGMA freelist_count", NULL, 0, &free_pages) < 0 ||
        upkeep_integer(u->c, "PRAGMA page_count", NULL, 0, &pages) < 0) {
        return -1;
    }
    if (free_pages <= (idle ? FREE_PAGES + pages / 400 : FREE_PAGES_BUSY + pages / 4)) {
        return 0;
    }
    return upkeep_give_back(u, SLICE_PAGES);
}
