#include "storage/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "storage/aging.h"
#include "storage/lock.h"
#include "storage/schema.h"
#include "storage/state.h"
#include "storage/statement.h"
#include "storage/store_internal.h"
#include "storage/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Pages of the log at which it is copied into the database.
#define LOG_PAGES 256
// What may wait to be packed: so much, or a share of the store's greatest size.
#define BACKLOG_BYTES ((int64_t)128 << 20)
#define BACKLOG_SHARE 4

enum {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_PUT_RUN,
    SQL_PUT_PROGRESS,
    SQL_PUT_ATTEMPT,
    SQL_PUT_STEP,
    SQL_PUT_SCALARS,
    SQL_PUT_READING,
    SQL_PUT_EVENT,
    SQL_PUT_OUTPUTS,
    SQL_PUT_CHECKPOINT,
    SQL_PUT_WAYPOINT,
    SQL_NOTE_GARBAGE,
    SQL_DELETE_RUN,
    SQL_NEXT_RUN,
    SQL_NEXT_ATTEMPT,
    SQL_ACKNOWLEDGE,
    SQL_COUNT
};

static const char *const statements[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_PUT_RUN] =
        "INSERT INTO run (id, name, project, status, started, last_seen, end_time, "
        "first_step, last_step, n_steps, loss, facts) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
        "ON CONFLICT (id) DO UPDATE SET project=?3, status=?4, last_seen=?6, end_time=?7, "
        "first_step=?8, last_step=?9, n_steps=?10, loss=?11, facts=?12",
    [SQL_PUT_PROGRESS] = "UPDATE run SET status=?2, last_seen=?3, end_time=?4, first_step=?5, "
                         "last_step=?6, n_steps=?7, loss=?8 WHERE id=?1",
    [SQL_PUT_ATTEMPT] = "INSERT INTO attempt (id, run, rewind_step, is_rewind, started, facts) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
    [SQL_PUT_STEP] = "INSERT INTO step (key, columns) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
    // The same message again, its time too, is one that was sent again.
    [SQL_PUT_SCALARS] = "INSERT INTO scalars (key, columns) SELECT ?1, ?2 WHERE NOT EXISTS "
                        "(SELECT 1 FROM scalars WHERE key=?1 AND columns=?2)",
    [SQL_PUT_READING] =
        "INSERT INTO reading (key, columns) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
    [SQL_PUT_EVENT] = "INSERT INTO event (run, attempt, step, after_step, time, name, data, "
                      "derived) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_PUT_OUTPUTS] = "INSERT INTO outputs (run, attempt, step, after_step, after_events, line) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_PUT_CHECKPOINT] = "INSERT OR REPLACE INTO checkpoint (run, attempt, step, state) "
                           "VALUES (?1, ?2, ?3, ?4)",
    [SQL_PUT_WAYPOINT] = "INSERT INTO waypoint (run, attempt, step, state) "
                         "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    [SQL_NOTE_GARBAGE] = "INSERT INTO garbage (attempt) SELECT id FROM attempt WHERE run=?1",
    [SQL_DELETE_RUN] = "DELETE FROM run WHERE id=?1",
    [SQL_NEXT_RUN] = "SELECT coalesce(max(id), 0) + 1 FROM run",
    [SQL_NEXT_ATTEMPT] = "SELECT max(coalesce((SELECT max(id) FROM attempt), 0), "
                         "coalesce((SELECT max(attempt) FROM garbage), 0)) + 1",
    [SQL_ACKNOWLEDGE] = "UPDATE alert SET acknowledged=?2 WHERE id=?1 AND acknowledged=0",
};

struct store {
    struct connection c;
    int lock;
    bool unclean;
    char *directory, *database_path, *wal_path;
    struct upkeep *upkeep;
    int64_t backlog_bytes;
    int64_t backlog_before; // the transaction at hand
    int log_pages;          // after the last commit
    double retention_s;     // 0: for ever
    struct aging aging;
    double (*wall)(void), (*counted)(void); // clocks, seconds
    int64_t max_bytes;                      // 0: no limit
    bool settled; // the log was emptied since the last upkeep that did something
};

// A directory that was made is there after a power cut once the one it is in was synced.
static int sync_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static int make_one(char *path, struct buf *error) {
    if (mkdir(path, 0700) != 0) {
        if (errno != EEXIST) {
            buf_printf(error, "%s: cannot make the directory: %s", path, strerror(errno));
            return -1;
        }
        return 0;
    }
    char *slash = strrchr(path, '/'), *parent = must_copy(slash ? path : ".");
    if (slash) {
        parent[slash == path ? 1 : slash - path] = '\0';
    }
    int rc = sync_directory(parent);
    if (rc) {
        buf_printf(error, "%s: cannot sync the directory: %s", parent, strerror(errno));
    }
    free(parent);
    return rc;
}

static int make_directory(const char *path, struct buf *error) {
    char *partial = must_copy(path);
    int rc = 0;
    for (char *p = partial + 1; rc == 0; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char was = *p;
        *p = '\0';
        rc = make_one(partial, error);
        *p = was;
        if (was == '\0') {
            break;
        }
    }
    free(partial);
    return rc;
}

static int set_up(struct store *s, bool durable, struct buf *error) {
    // Pages of a size at which steps of some 2 KB leave little of them unused (a new store's only).
    static const char pragmas[] =
        "PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
        "PRAGMA journal_size_limit=67108864;"
        "PRAGMA foreign_keys=ON; PRAGMA cache_size=-8000;"
        "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
        "PRAGMA secure_delete=OFF;"; // freed pages would be written again, as zeros
    int version;
    if (schema_check(s->c.db, &version, error)) {
        return -1; // before the pragmas, which would write to what is not ours
    }
    if (connection_exec(&s->c, pragmas) ||
        connection_exec(&s->c, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL")) {
        buf_printf(error, "cannot set up the store " STORE_FILE ": %s", s->c.error);
        return -1;
    }
    return schema_migrate(s->c.db, error);
}

// Instead of SQLite's own hook, which would make the commit itself wait for the checkpoint.
static int note_log(void *context, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    struct store *s = context;
    s->log_pages = pages;
    return SQLITE_OK;
}

int store_open(struct store **out, const char *directory, bool durable, struct buf *error) {
    *out = NULL;
    struct store *s = NEW(struct store);
    store_set_clocks(s, clock_wall_s, clock_boot_s);
    s->lock = -1;
    struct buf path;
    buf_init(&path, 8192);
    buf_printf(&path, "%s/" STORE_FILE, directory);
    if (make_directory(directory, error) ||
        (s->lock = lock_acquire(directory, &s->unclean, error)) < 0 ||
        connection_open(&s->c, buf_str(&path), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        statements, SQL_COUNT, error) ||
        set_up(s, durable, error)) {
        buf_free(&path);
        store_close(s);
        return -1;
    }
    s->database_path = must_copy(buf_str(&path));
    buf_puts(&path, "-wal");
    s->wal_path = must_copy(buf_str(&path));
    s->directory = must_copy(directory);
    buf_free(&path);
    s->upkeep = upkeep_create(&s->c);
    sqlite3_wal_hook(s->c.db, note_log, s);
    *out = s;
    return 0;
}

void store_close(struct store *s) {
    if (!s) {
        return;
    }
    upkeep_destroy(s->upkeep);
    if (s->c.db) {
        sqlite3_wal_checkpoint_v2(s->c.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        connection_close(&s->c);
    }
    if (s->lock >= 0) {
        lock_release(s->lock);
    }
    free(s->directory);
    free(s->database_path);
    free(s->wal_path);
    free(s);
}

bool store_was_unclean(const struct store *s) {
    return s->unclean;
}

const char *store_error(const struct store *s) {
    return s->c.error;
}

static int run_statement(struct store *s, size_t which) {
    sqlite3_stmt *q = connection_statement(&s->c, which);
    return q ? connection_run(&s->c, q) : -1;
}

int store_begin(struct store *s) {
    s->backlog_before = s->backlog_bytes;
    return run_statement(s, SQL_BEGIN);
}

int store_commit(struct store *s) {
    s->settled = false;
    return run_statement(s, SQL_COMMIT);
}

void store_rollback(struct store *s) {
    // The reason for the rollback is what the caller wants to tell, not how the rollback went.
    char error[sizeof s->c.error];
    memcpy(error, s->c.error, sizeof error);
    s->backlog_bytes = s->backlog_before;
    if (!sqlite3_get_autocommit(s->c.db) && run_statement(s, SQL_ROLLBACK)) {
        s->c.error[0] = '\0';
    }
    memcpy(s->c.error, error, sizeof error);
}

int store_put_run(struct store *s, const struct run_record *run) {
    sqlite3_stmt *q = connection_statement(&s->c, SQL_PUT_RUN);
    if (!q) {
        return -1;
    }
    const struct run_progress *p = &run->progress;
    sqlite3_bind_int64(q, 1, run->id);
    bind_text(q, 2, run->name);
    bind_text(q, 3, run->project);
    sqlite3_bind_int(q, 4, (int)p->status);
    sqlite3_bind_double(q, 5, run->started);
    sqlite3_bind_double(q, 6, p->last_seen);
    sqlite3_bind_double(q, 7, p->end_time);
    sqlite3_bind_int64(q, 8, p->first_step);
    sqlite3_bind_int64(q, 9, p->last_step);
    sqlite3_bind_int64(q, 10, p->n_steps);
    bind_double_bits(q, 11, &p->loss);
    bind_text(q, 12, run->facts);
    return connection_run(&s->c, q);
}

int store_put_progress(struct store *s, const struct run_progress *p) {
    sqlite3_stmt *q = connection_statement(&s->c, SQL_PUT_PROGRESS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, p->run);
    sqlite3_bind_int(q, 2, (int)p->status);
    sqlite3_bind_double(q, 3, p->last_seen);
    sqlite3_bind_double(q, 4, p->end_time);
    sqlite3_bind_int64(q, 5, p->first_step);
    sqlite3_bind_int64(q, 6, p->last_step);
    sqlite3_bind_int64(q, 7, p->n_steps);
    bind_double_bits(q, 8, &p->loss);
    return connection_run(&s->c, q);
}

int store_put_attempt(struct store *s, const struct attempt_record *a) {
    sqlite3_stmt *q = connection_statement(&s->c, SQL_PUT_ATTEMPT);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, a->id);
    sqlite3_bind_int64(q, 2, a->run);
    sqlite3_bind_int64(q, 3, a->rewind_step);
    sqlite3_bind_int(q, 4, a->is_rewind);
    sqlite3_bind_double(q, 5, a->started);
    bind_text(q, 6, a->facts);
    return connection_run(&s->c, q);
}

static int put_columns(struct store *s, size_t which, int64_t key, const void *blob, size_t size) {
    sqlite3_stmt *q = connection_statement(&s->c, which);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, key);
    sqlite3_bind_blob64(q, 2, blob, size, SQLITE_STATIC);
    s->backlog_bytes += (int64_t)size;
    return connection_run(&s->c, q);
}

int store_put_step(struct store *s, int64_t attempt, int64_t step, const void *blob, size_t size) {
    return put_columns(s, SQL_PUT_STEP, schema_key(attempt, step), blob, size);
}

int store_put_scalars(struct store *s, int64_t attempt, int64_t step, const void *blob,
                      size_t size) {
    return put_columns(s, SQL_PUT_SCALARS, schema_key(attempt, step), blob, size);
}

int store_put_reading(struct store *s, int64_t attempt, int64_t step, const void *blob,
                      size_t size) {
    return put_columns(s, SQL_PUT_READING, schema_key(attempt, step), blob, size);
}

int store_put_event(struct store *s, const struct event_record *e) {
    sqlite3_stmt *q = connection_statement(&s->c, SQL_PUT_EVENT);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, e->run);
    sqlite3_bind_int64(q, 2, e->attempt);
    sqlite3_bind_int64(q, 3, e->step);
    sqlite3_bind_int64(q, 4, e->after_step);
    sqlite3_bind_double(q, 5, e->time);
    bind_text(q, 6, e->name);
    bind_text(q, 7, e->data);
    sqlite3_bind_int(q, 8, e->derived);
    return connection_run(&s->c, q);
}

int store_put_outputs(struct store *s, const struct outputs_record *o) {
    sqlite3_stmt *q = connection_statement(&s->c, SQL_PUT_OUTPUTS);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, o->run);
    sqlite3_bind_int64(q, 2, o->attempt);
    sqlite3_bind_int64(q, 3, o->step);
    sqlite3_bind_int64(q, 4, o->after_step);
    sqlite3_bind_int64(q, 5, o->after_events);
    bind_text(q, 6, o->line);
    return connection_run(&s->c, q);
}

static int put_state(struct store *s, int which, int64_t run, int64_t attempt, int64_t step,
                     const void *bytes, size_t size) {
    sqlite3_stmt *q = connection_statement(&s->c, (size_t)which);
    if (!q) {
        return -1;
    }
    size_t packed_size;
    void *packed = state_pack(bytes, size, &packed_size);
    if (!packed) {
        log_warning("no memory to keep a state of %zu bytes; a restart observes more steps again",
                    size);
        return 0;
    }
    sqlite3_bind_int64(q, 1, run);
    sqlite3_bind_int64(q, 2, attempt);
    sqlite3_bind_int64(q, 3, step);
    sqlite3_bind_blob64(q, 4, packed, packed_size, SQLITE_STATIC);
    int rc = connection_run(&s->c, q);
    sqlite3_clear_bindings(q);
    free(packed);
    return rc;
}

int store_put_checkpoint(struct store *s, int64_t run, int64_t attempt, int64_t step,
                         const void *bytes, size_t size) {
    return put_state(s, SQL_PUT_CHECKPOINT, run, attempt, step, bytes, size);
}

int store_put_waypoint(struct store *s, int64_t run, int64_t attempt, int64_t step,
                       const void *bytes, size_t size) {
    return put_state(s, SQL_PUT_WAYPOINT, run, attempt, step, bytes, size);
}

// The run is forgotten at once; what is large of it goes in slices, with store_maintain().
int store_delete_run(struct store *s, int64_t run) {
    for (size_t which = SQL_NOTE_GARBAGE; which <= SQL_DELETE_RUN; which++) {
        sqlite3_stmt *q = connection_statement(&s->c, which);
        if (!q) {
            return -1;
        }
        sqlite3_bind_int64(q, 1, run);
        if (connection_run(&s->c, q)) {
            return -1;
        }
    }
    return 0;
}

int store_acknowledge_alert(struct store *s, int64_t id, double now) {
    sqlite3_stmt *q = connection_statement(&s->c, SQL_ACKNOWLEDGE);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_double(q, 2, now);
    return connection_run(&s->c, q);
}

static int one_integer(struct store *s, size_t which, int64_t *value) {
    sqlite3_stmt *q = connection_statement(&s->c, which);
    if (!q || sqlite3_step(q) != SQLITE_ROW) {
        return connection_fail(&s->c);
    }
    *value = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return 0;
}

int store_next_ids(struct store *s, int64_t *run, int64_t *attempt) {
    return one_integer(s, SQL_NEXT_RUN, run) || one_integer(s, SQL_NEXT_ATTEMPT, attempt) ? -1 : 0;
}

void store_checkpoint(struct store *s) {
    if (s->log_pages >= LOG_PAGES) {
        sqlite3_wal_checkpoint_v2(s->c.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        s->log_pages = 0; // what could not be copied, a later one will
    }
}

// Empties the log's file where no reader is in the way.
static void truncate_log(struct store *s) {
    sqlite3_busy_timeout(s->c.db, 0);
    int rc = sqlite3_wal_checkpoint_v2(s->c.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(s->c.db, STATEMENT_BUSY_TIMEOUT_MS);
    s->settled = rc == SQLITE_OK;
}

void store_limit(struct store *s, uint64_t retention_s, uint64_t max_bytes) {
    s->retention_s = (double)retention_s;
    s->max_bytes = max_bytes > INT64_MAX ? INT64_MAX : (int64_t)max_bytes;
}

void store_set_clocks(struct store *s, double (*wall)(void), double (*counted)(void)) {
    s->wall = wall;
    s->counted = counted;
}

// What is older than this is not to be kept.
static double oldest_kept(struct store *s) {
    double leap, now = aging_now(&s->aging, s->wall(), s->counted(), &leap);
    if (leap > 0 || leap < 0) {
        log_warning("the clock leapt by %.0f s; %s", leap,
                    leap > 0 ? "steps age by the time before until it has stayed so for a day"
                             : "steps age by the new time");
    }
    return s->retention_s > 0 ? now - s->retention_s : 0;
}

int store_tidy(struct store *s, bool idle) {
    double oldest = oldest_kept(s);
    int removed = upkeep_retain(s->upkeep, oldest, s->max_bytes);
    if (removed < 0) {
        return -1;
    }
    s->settled = s->settled && removed == 0;
    int rc = upkeep_sweep(s->upkeep);
    rc = rc ? rc : upkeep_vacuum(s->upkeep, idle);
    if (rc == 0 && idle && !s->settled) {
        truncate_log(s);
    }
    s->settled = s->settled && rc == 0;
    return rc == 0 ? removed : rc; // both at once: neither waits for the other
}

int store_install(struct store *s, struct parcel *p) {
    int rc = parcel_install(&s->c, p);
    if (rc == 1) {
        s->settled = false;
        store_note_packed(s, p->n_rows * p->row_bytes);
    }
    return rc;
}

void store_interrupt_after(struct store *s, int instructions, int (*interrupt)(void *)) {
    sqlite3_progress_handler(s->c.db, instructions, interrupt, NULL);
}

int64_t store_backlog_bytes(const struct store *s) {
    return s->backlog_bytes;
}

void store_note_packed(struct store *s, int64_t bytes) {
    s->backlog_bytes -= bytes < s->backlog_bytes ? bytes : s->backlog_bytes;
}

static int64_t backlog_limit(const struct store *s) {
    int64_t share = s->max_bytes / BACKLOG_SHARE;
    return share && share < BACKLOG_BYTES ? share : BACKLOG_BYTES;
}

bool store_is_behind(const struct store *s) {
    return s->backlog_bytes > backlog_limit(s);
}

bool store_is_far_behind(const struct store *s) {
    return s->backlog_bytes > backlog_limit(s) + backlog_limit(s) / 2;
}

const char *store_directory(const struct store *s) {
    return s->directory;
}

static int64_t file_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

int64_t store_wal_bytes(const struct store *s) {
    return file_bytes(s->wal_path);
}

int64_t store_database_bytes(const struct store *s) {
    return file_bytes(s->database_path);
}

struct connection *store_connection(struct store *s) {
    return &s->c;
}
