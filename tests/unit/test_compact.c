// Compaction: whatever of a run stands in the journal and whatever in blocks, it reads the same.
#include "base/clock.h"
#include "storage/segment.h"
#include "tests/unit/support/store_case.h"

#define ATTEMPT 3

static int64_t count(const char *sql) {
    struct buf path = new_buf();
    sqlite3 *db;
    sqlite3_stmt *q;
    buf_printf(&path, "%s/" STORE_FILE, directory);
    CHECK(sqlite3_open_v2(buf_str(&path), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(q) == SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    buf_free(&path);
    return n;
}

// A running run's newest step is of now, however long the test takes.
static void put_status(enum run_status status) {
    struct run_progress p = {.run = 1, .status = status, .last_seen = clock_wall_s() + 3600};
    OK(store_put_progress(store, &p));
}

static void put_quiet(void) {
    struct run_progress p = {.run = 1, .status = RUN_RUNNING, .last_seen = clock_wall_s() - 60};
    OK(store_put_progress(store, &p));
}

static void begin_run(void) {
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
}

// The steps are made of their number alone, so that they can be made again.
static void make(struct step *s, int64_t number, size_t layers) {
    uint64_t seed = (uint64_t)number * 977 + 5;
    random_step(s, &seed, layers, number, VALUES_ANY_BITS);
}

static void put_made(int64_t from, int64_t to, int64_t stride, size_t layers) {
    struct step s;
    step_init(&s);
    OK(store_begin(store));
    for (int64_t i = from; i < to; i += stride) {
        make(&s, i, layers);
        put_step(ATTEMPT, &s);
    }
    OK(store_commit(store));
    step_free(&s);
}

// Reads from..to and compares with what was put: from `first` on, every `stride`, below `end`.
static void assert_reads(int64_t from, int64_t to, int64_t first, int64_t end, int64_t stride,
                         size_t layers) {
    struct step_cursor *cursor;
    struct step got, expected;
    step_init(&got);
    step_init(&expected);
    ck_assert_int_eq(step_cursor_open(&cursor, reader, ATTEMPT, from, to), 0);
    for (int64_t i = first; i < end; i += stride) {
        if (i < from || i > to) {
            continue;
        }
        ck_assert_msg(step_cursor_next(cursor, &got) == 1, "%lld: %s", (long long)i,
                      reader_error(reader));
        make(&expected, i, layers);
        assert_same_step(&got, &expected);
    }
    ck_assert_int_eq(step_cursor_next(cursor, &got), 0);
    ck_assert_uint_eq(step_cursor_damage(cursor)->segments, 0);
    step_cursor_close(cursor);
    step_free(&got);
    step_free(&expected);
}

START_TEST(test_an_ended_run_is_packed) {
    begin_run();
    put_made(0, 300, 3, 4);
    put_status(RUN_RUNNING);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 100); // too few, and more may come
    put_status(RUN_COMPLETED);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), 1);
    assert_reads(0, STEP_MAX, 0, 300, 3, 4);
    for (int64_t from = 0; from < 310; from += 37) {
        assert_reads(from, from + 50, 0, 300, 3, 4);
    }
    assert_reads(300, STEP_MAX, 0, 300, 3, 4);
    // It goes on: the small segment is packed anew with what follows.
    put_made(300, 360, 3, 4);
    assert_reads(0, STEP_MAX, 0, 360, 3, 4);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), 1);
    ck_assert_int_eq(count("SELECT count(*) FROM block"), 1);
    assert_reads(0, STEP_MAX, 0, 360, 3, 4);
    close_store();
    open_store();
    assert_reads(0, STEP_MAX, 0, 360, 3, 4);
}
END_TEST

START_TEST(test_a_running_run_is_packed_as_it_grows) {
    begin_run();
    put_status(RUN_RUNNING);
    for (int64_t i = 0; i < 1600; i += 200) {
        put_made(i, i + 200, 1, 90);
        maintain();
        assert_reads(0, STEP_MAX, 0, i + 200, 1, 90);
    }
    int64_t segments = count("SELECT count(*) FROM segment WHERE level=0"), left;
    ck_assert_int_ge(segments, 5);
    // Each has its piece of the tier, also those that came before tiers began.
    ck_assert_int_eq(count("SELECT count(*) FROM segment AS t JOIN segment AS s ON "
                           "s.first_step=t.first_step AND s.last_step=t.last_step "
                           "WHERE t.level=1 AND s.level=0"),
                     segments);
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level>0"), segments);
    left = count("SELECT count(*) FROM step");
    ck_assert_int_gt(left, 0);
    ck_assert_int_eq(count("SELECT sum(n) FROM segment WHERE level=0") + left, 1600);
    // All but the last have whole buckets of 64.
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0 AND n%64<>0"), 0);
    for (int64_t from = 0; from < 1650; from += 111) {
        assert_reads(from, from + 130, 0, 1600, 1, 90);
    }
}
END_TEST

#define MOST_PIECES                                                                                \
    "SELECT max(n) FROM (SELECT count(*) AS n FROM segment WHERE level%2=1 GROUP BY level)"

START_TEST(test_tiers_of_an_ended_run_are_few_pieces) {
    begin_run();
    put_status(RUN_RUNNING);
    for (int64_t i = 0; i < 2000; i += 200) {
        put_made(i, i + 200, 1, 90);
        maintain();
    }
    ck_assert_int_gt(count(MOST_PIECES), 6);
    put_status(RUN_COMPLETED);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    ck_assert_int_le(count(MOST_PIECES), 4);
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=2"), 1);
    put_made(2000, 2100, 1, 90); // it goes on
    maintain();
    assert_reads(0, STEP_MAX, 0, 2100, 1, 90);
    // Each bucket of the first tier stands in one place.
    ck_assert_int_eq(count("SELECT count(*) FROM segment AS a JOIN segment AS b ON a.id<b.id AND "
                           "a.first_step<=b.last_step AND b.first_step<=a.last_step "
                           "WHERE a.level IN (1, 2) AND b.level IN (1, 2)"),
                     0);
}
END_TEST

START_TEST(test_a_run_that_pauses_is_packed) {
    begin_run();
    put_made(0, 10, 1, 2);
    put_quiet();
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 10); // not worth a segment
    put_made(10, 100, 1, 2);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    put_made(100, 140, 1, 2);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 40); // nor worth packing the 100 anew
    put_made(140, 160, 1, 2);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM segment"), 1);
    assert_reads(0, STEP_MAX, 0, 160, 1, 2);
}
END_TEST

START_TEST(test_an_attempt_that_was_superseded_is_packed) {
    begin_run();
    put_status(RUN_RUNNING);
    put_made(0, 20, 1, 2);
    put_attempt(ATTEMPT + 1, 1, 10, FACTS);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    assert_reads(0, STEP_MAX, 0, 20, 1, 2);
}
END_TEST

START_TEST(test_steps_with_other_layers_make_another_segment) {
    begin_run();
    put_made(0, 10, 1, 2);
    put_made(10, 20, 1, 3);
    put_status(RUN_FAILED);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), 2);
    assert_reads(0, 9, 0, 10, 1, 2);
    assert_reads(10, 19, 10, 20, 1, 3);
}
END_TEST

static void assert_messages(const char *expected) {
    struct step_cursor *cursor;
    struct step s;
    struct buf got = new_buf();
    step_init(&s);
    ck_assert_int_eq(scalars_cursor_open(&cursor, reader, ATTEMPT, 0, STEP_MAX), 0);
    while (step_cursor_next(cursor, &s) == 1) {
        buf_printf(&got, "%lld:%g ", (long long)s.step, s.scalars[0].value);
    }
    step_cursor_close(cursor);
    step_free(&s);
    ck_assert_str_eq(buf_str(&got), expected);
    buf_free(&got);
}

START_TEST(test_messages) {
    begin_run();
    put_small_scalars(ATTEMPT, 5, 1);
    put_small_scalars(ATTEMPT, 5, 2);
    put_small_scalars(ATTEMPT, 7, 3);
    put_status(RUN_COMPLETED);
    assert_messages("5:1 5:2 7:3 ");
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM scalars"), 0);
    assert_messages("5:1 5:2 7:3 ");
    // One that comes late stays in the journal and is read in its place.
    put_small_scalars(ATTEMPT, 6, 4);
    put_small_scalars(ATTEMPT, 9, 5);
    assert_messages("5:1 5:2 6:4 7:3 9:5 ");
    maintain();
    assert_messages("5:1 5:2 6:4 7:3 9:5 ");
    maintain();
    assert_messages("5:1 5:2 6:4 7:3 9:5 ");
}
END_TEST

// Every statement of a compaction fails in turn: nothing changes, and the next try makes it.
static int interrupt_after;

static int interrupt(void *context) {
    (void)context;
    return --interrupt_after < 0;
}

START_TEST(test_compaction_that_is_interrupted) {
    begin_run();
    put_made(0, 60, 1, 20);
    put_status(RUN_COMPLETED);
    int failures = 0, rc = 0;
    for (int n = 0; n < 100000; n += 1 + n / 8) {
        interrupt_after = n;
        store_interrupt_after(store, 20, interrupt);
        rc = maintain_once(false);
        store_interrupt_after(store, 0, NULL);
        int64_t steps = count("SELECT count(*) FROM step"),
                segments = count("SELECT count(*) FROM segment WHERE level=0");
        ck_assert((steps == 60 && segments == 0) || (steps == 0 && segments == 1));
        assert_reads(0, STEP_MAX, 0, 60, 1, 20);
        if (rc == 1 || segments) {
            break;
        }
        failures++;
    }
    ck_assert_int_ge(rc, 0);
    ck_assert_int_gt(failures, 3);
    maintain();
    assert_reads(0, STEP_MAX, 0, 60, 1, 20);
}
END_TEST

// Whatever is written between the reading of what is packed and its way into the store.
START_TEST(test_a_late_message_is_not_lost) {
    begin_run();
    put_small_scalars(ATTEMPT, 5, 1);
    put_small_scalars(ATTEMPT, 7, 3);
    put_status(RUN_COMPLETED);
    ck_assert_int_eq(compactor_prepare(compactor, &parcel), 1);
    put_small_scalars(ATTEMPT, 6, 2);
    ck_assert_int_eq(store_install(store, &parcel), 0);
    assert_messages("5:1 6:2 7:3 ");
    ck_assert_int_eq(pack_once(), 1);
    ck_assert_int_eq(count("SELECT count(*) FROM scalars"), 0);
    assert_messages("5:1 6:2 7:3 ");
}
END_TEST

START_TEST(test_a_run_that_is_deleted_meanwhile) {
    begin_run();
    put_made(0, 60, 1, 20);
    put_status(RUN_COMPLETED);
    ck_assert_int_eq(compactor_prepare(compactor, &parcel), 1);
    OK(store_delete_run(store, 1));
    ck_assert_int_eq(store_install(store, &parcel), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM segment"), 0);
    ck_assert_int_eq(compactor_prepare(compactor, &parcel), 0); // what is left of it is not packed
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM garbage"), 0);
}
END_TEST

START_TEST(test_a_small_segment_that_goes_meanwhile) {
    begin_run();
    put_made(0, 60, 1, 20);
    put_status(RUN_COMPLETED);
    maintain();
    put_made(60, 80, 1, 20);
    ck_assert_int_eq(compactor_prepare(compactor, &parcel), 1);
    ck_assert_uint_eq(parcel.n_gone, 1);
    parcel.gone[0].id += 1; // it was packed anew by somebody
    ck_assert_int_eq(store_install(store, &parcel), 0);
    assert_reads(0, STEP_MAX, 0, 80, 1, 20);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), 1);
    assert_reads(0, STEP_MAX, 0, 80, 1, 20);
}
END_TEST

START_TEST(test_a_damaged_block_costs_its_steps) {
    begin_run();
    put_status(RUN_COMPLETED);
    put_made(0, 10, 1, 2);
    put_made(10, 20, 1, 3);
    put_made(20, 30, 1, 4);
    maintain();
    execute_sql("UPDATE block SET data=zeroblob(length(data)) WHERE id=2");
    struct step_cursor *cursor;
    struct step s;
    step_init(&s);
    int n = 0, rc;
    ck_assert_int_eq(step_cursor_open(&cursor, reader, ATTEMPT, 0, STEP_MAX), 0);
    while ((rc = step_cursor_next(cursor, &s)) == 1) {
        ck_assert(s.step < 10 || s.step >= 20);
        n++;
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(n, 20);
    ck_assert_uint_eq(step_cursor_damage(cursor)->segments, 1);
    ck_assert_int_eq(step_cursor_damage(cursor)->first, 10);
    ck_assert_int_eq(step_cursor_damage(cursor)->last, 19);
    ck_assert_ptr_nonnull(strstr(reader_error(reader), "steps 10 to 19"));
    step_cursor_close(cursor);
    execute_sql("UPDATE segment SET head=zeroblob(50) WHERE first_step=0");
    ck_assert_int_eq(step_cursor_open(&cursor, reader, ATTEMPT, 0, STEP_MAX), 0);
    for (n = 0; (rc = step_cursor_next(cursor, &s)) == 1; n++) {
    }
    ck_assert_int_eq(n, 10);
    ck_assert_uint_eq(step_cursor_damage(cursor)->segments, 2);
    step_cursor_close(cursor);
    step_free(&s);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_an_ended_run_is_packed,
                                  test_a_running_run_is_packed_as_it_grows,
                                  test_tiers_of_an_ended_run_are_few_pieces,
                                  test_a_run_that_pauses_is_packed,
                                  test_an_attempt_that_was_superseded_is_packed,
                                  test_steps_with_other_layers_make_another_segment,
                                  test_messages,
                                  test_compaction_that_is_interrupted,
                                  test_a_late_message_is_not_lost,
                                  test_a_run_that_is_deleted_meanwhile,
                                  test_a_small_segment_that_goes_meanwhile,
                                  test_a_damaged_block_costs_its_steps};
    return run_suite(store_suite("compact", tests, COUNT(tests)));
}
