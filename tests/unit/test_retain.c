// Retention: which exact values go, that their tiers stay, and that nothing of it is ever half
// done.
#define STORE_DURABLE false
#include "base/clock.h"
#include "storage/aging.h"
#include "storage/range.h"
#include "tests/unit/support/store_case.h"

#include <sys/stat.h>

#define ATTEMPT 3
#define SEGMENT_STEPS_FULL 4096
#define HOUR 3600.0

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

static int64_t file_bytes(void) {
    struct buf path = new_buf();
    struct stat st;
    buf_printf(&path, "%s/" STORE_FILE, directory);
    CHECK(stat(buf_str(&path), &st) == 0);
    buf_free(&path);
    return (int64_t)st.st_size;
}

static void put_steps(int64_t attempt, int64_t from, int64_t to, size_t layers, double time) {
    struct step s;
    step_init(&s);
    OK(store_begin(store));
    for (int64_t i = from; i < to; i++) {
        uint64_t seed = (uint64_t)i * 977 + 5;
        random_step(&s, &seed, layers, i, VALUES_ANY_BITS);
        s.time = time;
        s.loss = (double)i;
        put_step(attempt, &s);
    }
    OK(store_commit(store));
    step_free(&s);
}

static void put_checkpoint(int64_t run, int64_t attempt, int64_t step) {
    OK(store_put_checkpoint(store, run, attempt, step, "state", 5));
}

static void end_run(int64_t run) {
    struct run_progress p = {.run = run, .status = RUN_COMPLETED};
    OK(store_put_progress(store, &p));
}

struct drawn {
    int64_t before;
    uint64_t points, values, single;
};

static bool take(void *context, size_t series, const struct range_point *p) {
    struct drawn *d = context;
    ck_assert_uint_eq(series, 0);
    ck_assert_int_eq(p->first, d->before + 1); // each step stands in one point
    ASSERT_SAME_BITS(p->cell.value[AGGREGATE_MIN], (double)p->first);
    ASSERT_SAME_BITS(p->cell.value[AGGREGATE_MAX], (double)p->last);
    ASSERT_SAME_BITS(p->cell.value[AGGREGATE_LAST], (double)p->last);
    d->before = p->last;
    d->points++;
    d->values += (uint64_t)p->cell.value[AGGREGATE_COUNT];
    d->single += p->first == p->last;
    return true;
}

// The loss from `from` on as exactly as it is there.
static struct drawn draw(int64_t attempt, int64_t from, int64_t to, int64_t width) {
    struct range_series one = {.key = {.kind = COLUMN_FIELD, .id = SEGMENT_LOSS}};
    struct drawn d = {.before = from - 1};
    struct range range = {.attempt = attempt,
                          .kind = SEGMENT_STEPS,
                          .from = from,
                          .to = to,
                          .width = width,
                          .series = &one,
                          .n_series = 1,
                          .point = take,
                          .context = &d};
    ck_assert_int_eq(range_read(reader, &range), 0);
    ck_assert_uint_eq(range.damage.segments, 0);
    return d;
}

static void assert_drawn(int64_t n, int64_t first_exact) {
    struct drawn d = draw(ATTEMPT, 0, STEP_MAX, 1);
    ck_assert_int_eq(d.before, n - 1);
    ck_assert_uint_eq(d.values, (uint64_t)n);
    ck_assert_uint_eq(d.single, (uint64_t)(n - first_exact));
    d = draw(ATTEMPT, 0, STEP_MAX, 1 << 20);
    ck_assert_int_eq(d.before, n - 1);
    ck_assert_uint_eq(d.values, (uint64_t)n);
    d = draw(ATTEMPT, first_exact, STEP_MAX, 1);
    ck_assert_uint_eq(d.single, (uint64_t)(n - first_exact));
}

static void again(double retention_h, uint64_t max_bytes) {
    close_store();
    open_store();
    store_limit(store, (uint64_t)(retention_h * HOUR), max_bytes);
    maintain();
}

START_TEST(test_by_age) {
    const int64_t n = 4 * SEGMENT_STEPS_FULL;
    double now = clock_wall_s();
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
    for (int64_t i = 0; i < 4; i++) {
        put_steps(ATTEMPT, i * SEGMENT_STEPS_FULL, (i + 1) * SEGMENT_STEPS_FULL, 1,
                  now - HOUR * (double)(40 - 10 * i));
    }
    end_run(1);
    again(0, 0);
    assert_drawn(n, 0);
    int64_t before = count("SELECT count(*) FROM segment WHERE level=0");
    ck_assert_int_ge(before, 4);
    again(25, 0); // nothing yet: a restart would need all of them
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), before);
    put_checkpoint(1, ATTEMPT, SEGMENT_STEPS_FULL + 10);
    again(25, 0);
    int64_t first = count("SELECT min(first_step) FROM segment WHERE level=0");
    ck_assert_int_gt(first, 0);
    ck_assert_int_le(first, SEGMENT_STEPS_FULL + 10);
    assert_drawn(n, first);
    put_checkpoint(1, ATTEMPT, n - 1);
    again(25, 0);
    first = count("SELECT min(first_step) FROM segment WHERE level=0");
    ck_assert_int_gt(first, SEGMENT_STEPS_FULL);
    ck_assert_int_le(first, 2 * SEGMENT_STEPS_FULL);
    assert_drawn(n, first);
    again(5, 0);
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), 0);
    assert_drawn(n, n);
    // No step comes to light twice when the run goes on.
    put_steps(ATTEMPT, n, n + 100, 1, now);
    assert_drawn(n + 100, n);
    again(5, 0);
    ck_assert_int_eq(count("SELECT count(*) FROM step"), 0);
    assert_drawn(n + 100, n);
}
END_TEST

START_TEST(test_a_recording_of_old_steps_is_kept_from_when_it_came) {
    put_run(1, "r", "");
    struct attempt_record a = {.id = ATTEMPT,
                               .run = 1,
                               .rewind_step = -1,
                               .started = clock_wall_s(),
                               .facts = text(FACTS)};
    OK(store_put_attempt(store, &a));
    put_steps(ATTEMPT, 0, 100, 1, 1e9);
    put_checkpoint(1, ATTEMPT, 99);
    end_run(1);
    again(1, 0);
    assert_drawn(100, 0);
}
END_TEST

START_TEST(test_by_size) {
    const uint64_t limit = 6 << 20;
    double now = clock_wall_s();
    store_limit(store, 0, limit);
    for (int64_t run = 1; run <= 8; run++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", (int)run);
        put_run(run, name, "");
        put_attempt(run, run, -1, FACTS);
        put_steps(run, 0, 200, 40, now);
        put_checkpoint(run, run, 199);
        end_run(run);
        maintain();
        ck_assert_int_le(file_bytes(), (int64_t)limit);
        struct drawn d = draw(run, 0, STEP_MAX, 1); // the newest is there, to the step
        ck_assert_uint_eq(d.single, 200);
    }
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0 AND attempt=1"), 0);
    ck_assert_int_eq(count("SELECT count(DISTINCT attempt) FROM segment"), 8);
    // The oldest went first, and not more than had to.
    int64_t oldest = count("SELECT min(attempt) FROM segment WHERE level=0");
    ck_assert_int_gt(oldest, 1);
    ck_assert_int_lt(oldest, 8);
    ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level=0"), 9 - oldest);
    for (int64_t run = 1; run < oldest; run++) {
        struct drawn d = draw(run, 0, STEP_MAX, 1);
        ck_assert_uint_eq(d.values, 200);
        ck_assert_uint_eq(d.points, 4);
    }
}
END_TEST

// Every statement fails in turn: the steps are there, or their tier in their place.
static int interrupt_after;

static int interrupt(void *context) {
    (void)context;
    return --interrupt_after < 0;
}

START_TEST(test_that_is_interrupted) {
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
    put_steps(ATTEMPT, 0, 200, 4, clock_wall_s() - 2 * HOUR);
    put_checkpoint(1, ATTEMPT, 199);
    end_run(1);
    maintain();
    ck_assert_int_eq(count("SELECT count(*) FROM segment"), 1);
    store_limit(store, (uint64_t)HOUR, 0);
    int failures = 0;
    bool gone = false;
    for (int n = 0; n < 100000 && !gone; n += 1 + n / 8) {
        interrupt_after = n;
        store_interrupt_after(store, 20, interrupt);
        failures += maintain_once(false) < 0;
        store_interrupt_after(store, 0, NULL);
        gone = count("SELECT count(*) FROM segment WHERE level=0") == 0;
        ck_assert_int_eq(count("SELECT count(*) FROM segment WHERE level>0"), gone);
        assert_drawn(200, gone ? 200 : 0);
    }
    ck_assert(gone);
    ck_assert_int_gt(failures, 3);
    ck_assert_int_eq(count("SELECT count(*) FROM block"), 1);
    maintain();
    assert_drawn(200, 200);
}
END_TEST

// A day is what a leap ahead must last; one back counts at once; small corrections are followed.
START_TEST(test_a_clock_that_leaps) {
    struct aging a = {0};
    double leap;
    ck_assert_double_eq(aging_now(&a, 1e9, 50, &leap), 1e9);
    ck_assert_double_eq(aging_now(&a, 1e9 + 3000, 60, &leap), 1e9 + 3000);
    ck_assert_double_eq(leap, 0);
    ck_assert_double_eq(aging_now(&a, 2e9, 70, &leap), 1e9 + 3010);
    ck_assert_double_eq_tol(leap, 1e9 - 3010, 1e-6);
    ck_assert_double_eq(aging_now(&a, 2e9 + 80000, 80070, &leap), 1e9 + 83010);
    ck_assert_double_eq(leap, 0); // said once
    struct aging back = a;
    ck_assert_double_eq(aging_now(&back, 1e9 + 83020, 80080, &leap), 1e9 + 83020);
    ck_assert_double_eq(aging_now(&back, 5e8, 80090, &leap), 5e8);
    ck_assert_double_lt(leap, -4e8);
    ck_assert_double_eq(aging_now(&back, 5e8 + 200000, 280090, &leap), 5e8 + 200000);
    ck_assert_double_eq(aging_now(&back, 5e8 + 200010, 280100, &leap), 5e8 + 200010);
    ck_assert_double_eq(leap, 0);
    ck_assert_double_eq(aging_now(&a, 2e9 + 86401, 86471, &leap), 2e9 + 86401);
    ck_assert_double_eq(aging_now(&a, 2e9 + 86411, 86481, &leap), 2e9 + 86411);
    ck_assert_double_eq(leap, 0);
}
END_TEST

static double wall, counted;

static double read_wall(void) {
    return wall;
}

static double read_counted(void) {
    return counted;
}

static bool all_are_there(void) {
    maintain();
    return count("SELECT count(*) FROM segment WHERE level=0") > 0;
}

START_TEST(test_a_leap_deletes_nothing) {
    wall = 1.7e9;
    counted = 100;
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
    put_steps(ATTEMPT, 0, 200, 4, wall);
    put_checkpoint(1, ATTEMPT, 199);
    end_run(1);
    store_limit(store, (uint64_t)(30 * 24 * HOUR), 0);
    store_set_clocks(store, read_wall, read_counted);
    ck_assert(all_are_there());
    wall += 20 * 365 * 24 * HOUR;
    ck_assert(all_are_there());
    wall += 20 * HOUR, counted += 20 * HOUR;
    ck_assert(all_are_there());
    assert_drawn(200, 0);
    wall -= 60 * 365 * 24 * HOUR; // and back, beyond where it was
    ck_assert(all_are_there());
    wall = 1.7e9 + 29 * 24 * HOUR, counted = 100 + 29 * 24 * HOUR;
    ck_assert(all_are_there());
    wall += 2 * 24 * HOUR, counted += 2 * 24 * HOUR; // they are really old
    ck_assert(!all_are_there());
    assert_drawn(200, 200);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_by_age,
                                  test_a_recording_of_old_steps_is_kept_from_when_it_came,
                                  test_by_size,
                                  test_that_is_interrupted,
                                  test_a_clock_that_leaps,
                                  test_a_leap_deletes_nothing};
    return run_suite(store_suite("retain", tests, COUNT(tests)));
}
