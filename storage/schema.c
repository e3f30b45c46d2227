#include "storage/schema.h"

// A run's newest progress stands in its row, so that lists need no look at the steps.
static const char version_1[] =
    "CREATE TABLE run ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  project TEXT NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  started REAL NOT NULL,"
    "  last_seen REAL NOT NULL,"
    "  end_time REAL NOT NULL,"
    "  first_step INTEGER NOT NULL,"
    "  last_step INTEGER NOT NULL,"
    "  n_steps INTEGER NOT NULL,"
    "  loss BLOB NOT NULL," // the eight bytes of the double: SQLite's REAL turns NaN into NULL
    "  facts TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX run_by_project ON run (project, id);"
    "CREATE TABLE attempt ("
    "  id INTEGER PRIMARY KEY,"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
    "  rewind_step INTEGER NOT NULL,"
    "  is_rewind INTEGER NOT NULL,"
    "  started REAL NOT NULL,"
    "  facts TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX attempt_by_run ON attempt (run, id);"
    "CREATE TABLE step (key INTEGER PRIMARY KEY, columns BLOB NOT NULL) STRICT;"
    "CREATE TABLE scalars ("
    "  id INTEGER PRIMARY KEY,"
    "  key INTEGER NOT NULL,"
    "  columns BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX scalars_by_key ON scalars (key, id);"
    "CREATE TABLE event ("
    "  id INTEGER PRIMARY KEY,"
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
    "  attempt INTEGER NOT NULL,"
    "  step INTEGER NOT NULL,"
    "  after_step INTEGER NOT NULL,"
    "  time REAL NOT NULL,"
    "  name TEXT NOT NULL,"
    "  data TEXT"
    ") STRICT;"
    "CREATE INDEX event_by_run ON event (run, id);"
    "CREATE TABLE alert ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT," // a number once given out is never another alert's
    "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
    "  attempt INTEGER NOT NULL,"
    "  rule TEXT NOT NULL,"
    "  layer TEXT NOT NULL," // '' for the whole run, so that the key below is one
    "  since INTEGER NOT NULL,"
    "  severity INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  step INTEGER NOT NULL,"
    "  started REAL NOT NULL,"
    "  fired REAL NOT NULL,"
    "  resolved REAL NOT NULL,"
    "  changed REAL NOT NULL,"
    "  value BLOB NOT NULL,"
    "  threshold BLOB NOT NULL,"
    "  alert_group INTEGER NOT NULL,"
    "  summary TEXT NOT NULL,"
    "  acknowledged REAL NOT NULL,"
    "  UNIQUE (run, attempt, rule, layer, since)"
    ") STRICT;"
    "CREATE INDEX alert_by_state ON alert (state, id);"
    "CREATE TABLE checkpoint ("
    "  run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,"
    "  attempt INTEGER NOT NULL,"
    "  step INTEGER NOT NULL,"
    "  state BLOB NOT NULL"
    ") STRICT;";

static const char alert_delivery[] =
    "ALTER TABLE alert ADD COLUMN closed_by INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE alert_change ("
    "  id INTEGER PRIMARY KEY,"
    "  alert INTEGER NOT NULL REFERENCES alert (id) ON DELETE CASCADE,"
    "  severity INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  step INTEGER NOT NULL,"
    "  time REAL NOT NULL,"
    "  value BLOB NOT NULL,"
    "  summary TEXT NOT NULL,"
    "  UNIQUE (alert, state, severity)" // what comes again changes nothing
    ") STRICT;"
    "CREATE TABLE notice ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  receiver TEXT NOT NULL,"
    "  alert INTEGER NOT NULL REFERENCES alert (id) ON DELETE CASCADE,"
    "  severity INTEGER NOT NULL,"
    "  state INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX notice_by_alert ON notice (alert);"
    "CREATE TABLE silence ("
    "  id INTEGER PRIMARY KEY,"
    "  starts REAL NOT NULL,"
    "  ends REAL NOT NULL,"
    "  created REAL NOT NULL,"
    "  created_by TEXT NOT NULL,"
    "  comment TEXT NOT NULL,"
    "  matchers TEXT NOT NULL"
    ") STRICT;";

// Histograms of outputs, as lines. `after_step` and `after_events` say where among the run's steps
// and events they came. A derived event is one that the daemon found itself.
static const char outputs[] = "CREATE TABLE outputs ("
                              "  id INTEGER PRIMARY KEY,"
                              "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
                              "  attempt INTEGER NOT NULL,"
                              "  step INTEGER NOT NULL,"
                              "  after_step INTEGER NOT NULL,"
                              "  after_events INTEGER NOT NULL,"
                              "  line TEXT NOT NULL"
                              ") STRICT;"
                              "CREATE INDEX outputs_by_run ON outputs (run, id);"
                              "ALTER TABLE event ADD COLUMN derived INTEGER NOT NULL DEFAULT 0;";

// Blocks of columns beside the journal (storage/segment.h). The index of segments is by place;
// a garbage attempt is one of a run that was forgotten, whose steps are still to be deleted.
static const char segments[] =
    "CREATE TABLE segment ("
    "  id INTEGER PRIMARY KEY,"
    "  attempt INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  level INTEGER NOT NULL,"
    "  first_step INTEGER NOT NULL,"
    "  last_step INTEGER NOT NULL,"
    "  n INTEGER NOT NULL,"
    "  time REAL NOT NULL," // of the last step, seconds since the epoch
    "  bytes INTEGER NOT NULL,"
    "  first_block INTEGER NOT NULL,"
    "  n_blocks INTEGER NOT NULL,"
    "  head BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX segment_by_place ON segment (attempt, kind, level, first_step, id);"
    "CREATE TABLE block (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE garbage (attempt INTEGER PRIMARY KEY) STRICT;";

// No table changes, but segments of version 2 may come (storage/segment.h), which programs before
// would take for damaged ones: they are to leave the store alone.
static const char segments_2[] = "";

// What the instruments read over time (storage/range.h), the journal's part of it.
static const char readings[] =
    "CREATE TABLE reading (key INTEGER PRIMARY KEY, columns BLOB NOT NULL) STRICT;";

// States of instruments on a run's way (runs/waypoint.h).
static const char waypoints[] = "CREATE TABLE waypoint ("
                                "  id INTEGER PRIMARY KEY,"
                                "  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
                                "  attempt INTEGER NOT NULL,"
                                "  step INTEGER NOT NULL,"
                                "  state BLOB NOT NULL,"
                                "  UNIQUE (run, attempt, step)"
                                ") STRICT;";

static const char alert_words[] = "ALTER TABLE alert ADD COLUMN labels TEXT NOT NULL DEFAULT '';"
                                  "ALTER TABLE alert ADD COLUMN annotations TEXT NOT NULL "
                                  "DEFAULT '';";

// To add a migration, append it here.
static const char *const migrations[] = {version_1,  alert_delivery, outputs,   segments,
                                         segments_2, readings,       waypoints, alert_words};
#define N_MIGRATIONS ((int)(sizeof migrations / sizeof *migrations))

int schema_version_newest(void) {
    return N_MIGRATIONS;
}

static int read_pragma(sqlite3 *db, const char *sql, int *value) {
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q) == SQLITE_ROW ? SQLITE_OK : sqlite3_errcode(db);
        *value = rc == SQLITE_OK ? sqlite3_column_int(q, 0) : 0;
    }
    sqlite3_finalize(q);
    return rc;
}

static int apply(sqlite3 *db, int version, struct buf *error) {
    struct buf sql;
    buf_init(&sql, 1 << 16);
    buf_printf(&sql, "BEGIN IMMEDIATE;%s;PRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT;",
               migrations[version - 1], SCHEMA_APPLICATION_ID, version);
    int rc = sqlite3_exec(db, buf_str(&sql), NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        buf_printf(error, "cannot bring the store to version %d: %s", version, sqlite3_errmsg(db));
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    buf_free(&sql);
    return rc == SQLITE_OK ? 0 : -1;
}

int schema_check(sqlite3 *db, int *version, struct buf *error) {
    int application_id, tables;
    if (read_pragma(db, "PRAGMA application_id", &application_id) ||
        read_pragma(db, "PRAGMA user_version", version) ||
        read_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables)) {
        buf_printf(error, "cannot read the store %s: %s", sqlite3_db_filename(db, "main"),
                   sqlite3_errmsg(db));
        return -1;
    }
    if (application_id != SCHEMA_APPLICATION_ID && tables > 0) {
        buf_puts(error, "the database is another program's; name another data directory");
        return -1;
    }
    if (*version > N_MIGRATIONS) {
        buf_printf(error,
                   "the store has version %d, made by a newer pyrometerd; this one knows "
                   "versions up to %d and leaves it alone",
                   *version, N_MIGRATIONS);
        return -1;
    }
    return 0;
}

int schema_migrate(sqlite3 *db, struct buf *error) {
    int version;
    if (schema_check(db, &version, error)) {
        return -1;
    }
    while (version < N_MIGRATIONS) {
        if (apply(db, ++version, error)) {
            return -1;
        }
    }
    // The cache is full of what was just made, which may rest from now on.
    sqlite3_db_release_memory(db);
    return 0;
}
