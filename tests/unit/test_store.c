// The store's writing side: opening, the lock, versions, and what is put comes out again.
#include "storage/schema.h"
#include "tests/unit/support/store_case.h"

#include <sys/stat.h>
#include <sys/wait.h>

static void assert_cannot_open(const char *at, const char *expected) {
    struct store *other;
    struct buf error = new_buf();
    ck_assert_int_eq(store_open(&other, at, true, &error), -1);
    ck_assert_ptr_null(other);
    ck_assert_msg(strstr(buf_str(&error), expected) != NULL, "%s", buf_str(&error));
    buf_free(&error);
}

static char *path_below(const char *name) {
    struct buf path = new_buf();
    buf_printf(&path, "%s/%s", directory, name);
    return path.data;
}

static int64_t integer_of(const char *sql) {
    char *path = path_below(STORE_FILE);
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    free(path);
    return value;
}

// -- opening -------------------------------------------------------------------------------------

START_TEST(test_opening_creates) {
    int64_t run, attempt;
    OK(store_next_ids(store, &run, &attempt));
    ck_assert_int_eq(run, 1);
    ck_assert_int_eq(attempt, 1);
    ck_assert(!store_was_unclean(store));
    ck_assert_int_eq(integer_of("PRAGMA application_id"), SCHEMA_APPLICATION_ID);
    ck_assert_int_eq(integer_of("PRAGMA user_version"), schema_version_newest());
    ck_assert_int_eq(integer_of("PRAGMA auto_vacuum"), 2);
    ck_assert_int_gt(store_wal_bytes(store), 0);
}
END_TEST

START_TEST(test_opening_makes_the_directory) {
    char *deep = path_below("a/b//c"), *parent = path_below("a"), *child = path_below("a/b");
    struct store *other;
    struct buf error = new_buf();
    ck_assert_msg(store_open(&other, deep, false, &error) == 0, "%s", buf_str(&error));
    struct stat st;
    ck_assert_int_eq(stat(deep, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
    store_close(other);
    char *base = directory;
    directory = deep;
    ck_assert_int_eq(integer_of("PRAGMA user_version"), schema_version_newest());
    directory = base;
    remove_directory(deep);
    ck_assert_int_eq(rmdir(child), 0);
    ck_assert_int_eq(rmdir(parent), 0);
    free(parent);
    free(child);
    buf_free(&error);
}
END_TEST

START_TEST(test_opening_what_cannot_be_one) {
    char *file = path_below("file"), *below = path_below("file/data");
    write_file(file, "x", 1);
    assert_cannot_open(file, "/file/lock: Not a directory");
    assert_cannot_open(below, "/file/data: cannot make the directory: Not a directory");
    ck_assert_int_eq(unlink(file), 0);
    free(file);
    free(below);
}
END_TEST

START_TEST(test_lock) {
    char expected[200];
    snprintf(
        expected, sizeof expected,
        "%s: another pyrometerd (process %ld) has this data directory; stop it or name another "
        "with --data",
        directory, (long)getpid());
    assert_cannot_open(directory, expected);
    assert_cannot_open(directory, expected); // and the message is still right
    close_store();
    open_store();
    ck_assert(!store_was_unclean(store));
}
END_TEST

// A process that dies without closing leaves the flag behind, and the lock does not.
START_TEST(test_unclean) {
    close_store();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct store *s;
        struct buf error = new_buf();
        _exit(store_open(&s, directory, true, &error) || store_was_unclean(s));
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    open_store();
    ck_assert(store_was_unclean(store));
    close_store();
    open_store();
    ck_assert(!store_was_unclean(store));
}
END_TEST

static void assert_left_alone(const char *expected) {
    char *path = path_below(STORE_FILE), *wal = path_below(STORE_FILE "-wal");
    struct buf before = read_file(path);
    assert_cannot_open(directory, expected);
    struct buf after = read_file(path);
    ck_assert_uint_eq(before.len, after.len);
    ck_assert_mem_eq(before.data, after.data, before.len);
    ck_assert_int_ne(access(wal, F_OK), 0);
    ck_assert_int_eq(unlink(path), 0);
    buf_free(&before);
    buf_free(&after);
    free(path);
    free(wal);
}

START_TEST(test_foreign_databases) {
    close_store();
    char *path = path_below(STORE_FILE);
    unlink(path);
    execute_sql("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    assert_left_alone("the database is another program's; name another data directory");
    execute_sql("CREATE TABLE t (x); PRAGMA application_id=5; PRAGMA user_version=1");
    assert_left_alone("the database is another program's; name another data directory");
    write_file(path, "This is no database, but a text that is long enough to be taken for one....",
               75);
    assert_left_alone("file is not a database");
    free(path);
    open_store(); // with nothing there it begins anew
}
END_TEST

START_TEST(test_newer_version) {
    close_store();
    execute_sql("PRAGMA user_version=99");
    char *path = path_below(STORE_FILE);
    struct buf ours = read_file(path);
    assert_left_alone(
        "the store has version 99, made by a newer pyrometerd; this one knows versions "
        "up to ");
    write_file(path, ours.data, ours.len);
    struct buf sql = new_buf();
    buf_printf(&sql, "PRAGMA user_version=%d", schema_version_newest());
    execute_sql(buf_str(&sql));
    open_store();
    buf_free(&sql);
    buf_free(&ours);
    free(path);
}
END_TEST

START_TEST(test_readers_cannot_write_or_create) {
    struct buf error = new_buf();
    struct reader *none;
    ck_assert_int_eq(reader_open(&none, "/nonexistent", &error), -1);
    ck_assert_ptr_null(none);
    ck_assert_ptr_nonnull(strstr(buf_str(&error), "/nonexistent/" STORE_FILE));
    buf_free(&error);
    reader_close(NULL);
    store_close(NULL);
}
END_TEST

// -- rows ----------------------------------------------------------------------------------------

static void assert_same_progress(const struct run_progress *a, const struct run_progress *b) {
    ck_assert_int_eq(a->run, b->run);
    ck_assert_int_eq(a->status, b->status);
    ASSERT_SAME_BITS(a->last_seen, b->last_seen);
    ck_assert_int_eq(a->first_step, b->first_step);
    ck_assert_int_eq(a->last_step, b->last_step);
    ck_assert_int_eq(a->n_steps, b->n_steps);
    ASSERT_SAME_BITS(a->loss, b->loss);
    ASSERT_SAME_BITS(a->end_time, b->end_time);
}

START_TEST(test_run_there_and_back) {
    struct run_record in = {.id = 7,
                            .name = text("r.7"),
                            .project = text("größe"),
                            .started = 1732345678.123456,
                            .facts = text(FACTS),
                            .progress = {.run = 7,
                                         .status = RUN_FAILED,
                                         .last_seen = 1.5,
                                         .first_step = 3,
                                         .last_step = STEP_MAX,
                                         .n_steps = 12,
                                         .loss = from_bits(UINT64_C(0x7FF8000000000123)),
                                         .end_time = 9.25}};
    struct run_record out;
    OK(store_put_run(store, &in));
    ck_assert_int_eq(reader_find_run(reader, "r.7", &out), 1);
    ck_assert_int_eq(out.id, 7);
    ck_assert_str_eq(out.name, in.name);
    ck_assert_str_eq(out.project, in.project);
    ck_assert_str_eq(out.facts, in.facts);
    ASSERT_SAME_BITS(out.started, in.started);
    assert_same_progress(&out.progress, &in.progress);
    run_record_free(&out);
    // What progress says replaces what the row said; a put of the run leaves name and start.
    static const double losses[] = {-0.0, (double)INFINITY, 0.1};
    for (size_t i = 0; i < COUNT(losses); i++) {
        struct run_progress p = {.run = 7, .status = RUN_RUNNING, .loss = losses[i], .n_steps = 5};
        OK(store_put_progress(store, &p));
        ck_assert_int_eq(reader_find_run(reader, "r.7", &out), 1);
        ASSERT_SAME_BITS(out.progress.loss, losses[i]);
        ck_assert_int_eq(out.progress.status, RUN_RUNNING);
        ck_assert_int_eq(out.progress.n_steps, 5);
        run_record_free(&out);
    }
    in.facts = text("{}");
    in.started = 1;
    OK(store_put_run(store, &in));
    ck_assert_int_eq(reader_find_run(reader, "r.7", &out), 1);
    ck_assert_str_eq(out.facts, "{}");
    ck_assert_double_eq(out.started, 1732345678.123456);
    run_record_free(&out);
    ck_assert_int_eq(reader_find_run(reader, "r.8", &out), 0);
}
END_TEST

START_TEST(test_names_are_taken_once) {
    put_run(1, "r", "");
    struct run_record twin = {
        .id = 2, .name = text("r"), .project = text(""), .facts = text(FACTS)};
    ck_assert_int_eq(store_put_run(store, &twin), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "UNIQUE"));
}
END_TEST

START_TEST(test_statuses) {
    static const char *const names[] = {"running", "stalled", "completed", "failed", "stopped"};
    for (unsigned i = 0; i < COUNT(names); i++) {
        enum run_status s;
        ck_assert(run_status_find(names[i], &s) && s == i);
        ck_assert_str_eq(run_status_name(s), names[i]);
        ck_assert_int_eq(run_status_is_end(s), i >= RUN_COMPLETED);
    }
    enum run_status s;
    ck_assert(!run_status_find("Running", &s) && !run_status_find("", &s));
}
END_TEST

static double loss_of(int64_t attempt, int64_t number) {
    struct step_cursor *cursor;
    struct step s;
    step_init(&s);
    ck_assert_int_eq(step_cursor_open(&cursor, reader, attempt, number, number), 0);
    double loss = step_cursor_next(cursor, &s) == 1 ? s.loss : -1;
    step_cursor_close(cursor);
    step_free(&s);
    return loss;
}

START_TEST(test_step_conflict_keeps_the_first) {
    put_run(1, "r", "");
    put_small_step(3, 10, 0.5);
    put_small_step(3, 10, 0.25);
    put_small_step(4, 10, 0.75);
    ck_assert_double_eq(loss_of(3, 10), 0.5);
    ck_assert_double_eq(loss_of(4, 10), 0.75);
    ck_assert_double_eq(loss_of(3, 11), -1);
}
END_TEST

START_TEST(test_rollback) {
    put_run(1, "r", "");
    OK(store_begin(store));
    put_small_step(1, 1, 0.5);
    put_attempt(1, 1, -1, FACTS);
    store_rollback(store);
    store_rollback(store); // outside of a transaction nothing happens
    ck_assert_int_eq(store_backlog_bytes(store), 0);
    ck_assert_double_eq(loss_of(1, 1), -1);
    ck_assert_int_eq(integer_of("SELECT count(*) FROM attempt"), 0);
    OK(store_begin(store));
    put_small_step(1, 1, 0.25);
    ck_assert_double_eq(loss_of(1, 1), -1); // not before it is committed
    OK(store_commit(store));
    ck_assert_double_eq(loss_of(1, 1), 0.25);
    // An event of no run fails, and the reason survives the rollback.
    OK(store_begin(store));
    struct event_record e = {.run = 99, .name = text("x")};
    ck_assert_int_eq(store_put_event(store, &e), -1);
    store_rollback(store);
    ck_assert_ptr_nonnull(strstr(store_error(store), "FOREIGN KEY"));
}
END_TEST

START_TEST(test_reopening) {
    put_run(5, "r", "");
    put_attempt(9, 5, -1, FACTS);
    put_small_step(9, 1, 0.5);
    close_store();
    open_store();
    int64_t run, attempt;
    OK(store_next_ids(store, &run, &attempt));
    ck_assert_int_eq(run, 6);
    ck_assert_int_eq(attempt, 10);
    ck_assert_double_eq(loss_of(9, 1), 0.5);
}
END_TEST

START_TEST(test_deleting_a_run) {
    for (int64_t run = 1; run <= 2; run++) {
        put_run(run, run == 1 ? "a" : "b", "");
        struct run_progress over = {.run = run, .status = RUN_COMPLETED};
        OK(store_put_progress(store, &over));
        for (int64_t attempt = 10 * run; attempt < 10 * run + 3; attempt++) {
            put_attempt(attempt, run, -1, FACTS);
            put_small_step(attempt, 0, 1);
            put_small_step(attempt, STEP_MAX, 1);
            put_small_scalars(attempt, 5, 1);
        }
        put_event(run, 10 * run, 1, 1, "x");
        OK(store_put_checkpoint(store, run, 10 * run, 1, "state", 5));
        struct alert_record a = {.run = run, .rule = text("u"), .summary = text("")};
        OK(store_put_alert(store, &a, false));
    }
    static const char all[] =
        "SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM attempt) + "
        "(SELECT count(*) FROM step) + (SELECT count(*) FROM scalars) + "
        "(SELECT count(*) FROM event) + (SELECT count(*) FROM alert) + "
        "(SELECT count(*) FROM checkpoint)";
    int64_t both = integer_of(all);
    ck_assert_int_eq(both, 2 * (1 + 3 + 6 + 3 + 1 + 1 + 1));
    OK(store_delete_run(store, 1));
    int64_t run, attempt;
    OK(store_next_ids(store, &run, &attempt));
    ck_assert_int_eq(attempt, 23);
    maintain(); // an ended run's steps are packed, a forgotten one's deleted
    ck_assert_int_eq(integer_of(all), both / 2 - 6 - 3);
    ck_assert_int_eq(integer_of("SELECT count(*) FROM segment"), 2 * 3);
    ck_assert_int_eq(integer_of("SELECT count(*) FROM garbage"), 0);
    struct run_record out;
    ck_assert_int_eq(reader_find_run(reader, "a", &out), 0);
    ck_assert_double_eq(loss_of(20, STEP_MAX), 1);
    OK(store_delete_run(store, 2));
    OK(store_delete_run(store, 2)); // what is not there is no error
    maintain();
    ck_assert_int_eq(integer_of(all) + integer_of("SELECT count(*) FROM segment") +
                         integer_of("SELECT count(*) FROM block"),
                     0);
    put_run(1, "a", "");            // and the name is free
}
END_TEST

START_TEST(test_checkpoints) {
    put_run(1, "r", "");
    int64_t attempt, step;
    void *bytes;
    size_t size;
    ck_assert_int_eq(reader_checkpoint(reader, 1, &attempt, &step, &bytes, &size), 0);
    OK(store_put_checkpoint(store, 1, 2, 3, "first", 5));
    OK(store_put_checkpoint(store, 1, 4, -1, "\0zwei", 5));
    ck_assert_int_eq(reader_checkpoint(reader, 1, &attempt, &step, &bytes, &size), 1);
    ck_assert_int_eq(attempt, 4);
    ck_assert_int_eq(step, -1);
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(bytes, "\0zwei", 5);
    free(bytes);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_opening_creates,
        test_opening_makes_the_directory,
        test_opening_what_cannot_be_one,
        test_lock,
        test_unclean,
        test_foreign_databases,
        test_newer_version,
        test_readers_cannot_write_or_create,
        test_run_there_and_back,
        test_names_are_taken_once,
        test_statuses,
        test_step_conflict_keeps_the_first,
        test_rollback,
        test_reopening,
        test_deleting_a_run,
        test_checkpoints,
    };
    return run_suite(store_suite("store", tests, COUNT(tests)));
}
