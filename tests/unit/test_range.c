// Series by range: whatever tier is read, the points stand for exactly the steps of the range.
#define STORE_DURABLE false
#include "storage/range.h"
#include "tests/unit/support/store_case.h"

#include <math.h>

#define ATTEMPT 3
#define STRIDE 2
#define N 150000

// The value of a step: a spike now and then, gaps, and what is not finite.
static double value_at(int64_t step) {
    uint64_t seed = (uint64_t)step;
    double x = (double)(float)random_unit(&seed);
    return step % 70002 == 70000  ? 1000
           : step % 5000 == 0     ? num_missing()
           : step % 30011 == 7    ? (double)NAN
           : step % 40004 == 1000 ? -(double)INFINITY
                                  : x;
}

static void put_steps(int64_t from, int64_t to) {
    struct step s;
    step_init(&s);
    OK(store_begin(store));
    for (int64_t i = from; i < to; i += STRIDE) {
        step_clear(&s, 1);
        s.step = i;
        s.loss = value_at(i);
        double *w = step_add_column(&s, STAT_W_VAR, NULL, 0);
        *w = i % 1000 == 0 ? (double)i : num_missing(); // a sparse one
        put_step(ATTEMPT, &s);
    }
    OK(store_commit(store));
    step_free(&s);
}

struct gathered {
    int64_t from, to, before; // the last step that was given
    uint64_t points, values, nonfinite;
    double min, max, sum;
    int64_t first_first, first_last, last;
    bool sparse;
};

static bool take(void *context, size_t series, const struct range_point *p) {
    struct gathered *g = context;
    if (series == 1) {
        // The step of a value that stands alone is its own.
        ck_assert(p->cell.value[AGGREGATE_COUNT] > 1 ||
                  p->last == (int64_t)p->cell.value[AGGREGATE_LAST]);
        return true;
    }
    ck_assert_int_ge(p->last, p->first);
    ck_assert_int_gt(p->first, g->before);
    ck_assert(p->first >= g->from && p->last <= g->to);
    ASSERT_SAME_BITS(p->cell.value[AGGREGATE_LAST], value_at(p->last));
    if (g->points++ == 0) {
        g->first_first = p->first;
        g->first_last = p->last;
    }
    g->before = g->last = p->last;
    g->values += (uint64_t)p->cell.value[AGGREGATE_COUNT];
    g->nonfinite += (uint64_t)p->cell.value[AGGREGATE_NONFINITE];
    g->min = fmin(g->min, p->cell.value[AGGREGATE_MIN]);
    g->max = fmax(g->max, p->cell.value[AGGREGATE_MAX]);
    double finite = p->cell.value[AGGREGATE_COUNT] - p->cell.value[AGGREGATE_NONFINITE];
    g->sum += finite > 0 ? finite * p->cell.value[AGGREGATE_MEAN] : 0;
    return true;
}

// What the range should give, step by step.
static struct gathered expect(int64_t from, int64_t to, int64_t end) {
    struct gathered e = {
        .from = from, .to = to, .min = (double)INFINITY, .max = -(double)INFINITY, .last = -1};
    for (int64_t i = 0; i < end; i += STRIDE) {
        double x = value_at(i);
        if (i < from || i > to || num_is_missing(x)) {
            continue;
        }
        e.first_first = e.values++ ? e.first_first : i;
        e.last = i;
        e.nonfinite += isfinite(x) ? 0u : 1u;
        e.min = fmin(e.min, x);
        e.max = fmax(e.max, x);
        e.sum += isfinite(x) ? x : 0;
    }
    return e;
}

static uint64_t assert_range(int64_t from, int64_t to, int64_t width, int64_t end) {
    struct gathered e = expect(from, to, end);
    struct gathered g = {.from = from,
                         .to = to,
                         .before = -1,
                         .min = (double)INFINITY,
                         .max = -(double)INFINITY,
                         .last = -1};
    struct range_series series[] = {{.key = {.kind = COLUMN_FIELD, .id = SEGMENT_LOSS}},
                                    {.key = {.kind = COLUMN_STATISTIC, .id = STAT_W_VAR}}};
    struct range range = {.attempt = ATTEMPT,
                          .kind = SEGMENT_STEPS,
                          .from = from,
                          .to = to,
                          .width = width,
                          .series = series,
                          .n_series = 2,
                          .point = take,
                          .context = &g};
    ck_assert_int_eq(range_read(reader, &range), 0);
    ck_assert_uint_eq(range.damage.segments, 0);
    ck_assert_uint_eq(g.values, e.values);
    ck_assert_uint_eq(g.nonfinite, e.nonfinite);
    ck_assert_int_eq(g.last, e.last);
    if (e.values) {
        ck_assert_int_eq(g.first_first, e.first_first);
        ck_assert_int_eq(g.first_last, e.first_first); // the first value alone
        ASSERT_SAME_BITS(g.min, e.min);
        ASSERT_SAME_BITS(g.max, e.max);
        ck_assert_double_eq_tol(g.sum, e.sum, 1e-6 * (double)e.values + 1e-9);
        ck_assert(!width || series[0].seen);
    }
    return range.entries;
}

START_TEST(test_ranges) {
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
    uint64_t seed = 11;
    for (int64_t done = 0; done < 2 * N; done += 2 * N / 5) {
        put_steps(done, done + 2 * N / 5);
        maintain();
        int64_t end = done + 2 * N / 5;
        for (int i = 0; i < 30; i++) {
            int64_t from = (int64_t)random_below(&seed, (size_t)end);
            int64_t to = from + (int64_t)random_below(&seed, (size_t)(end - from) + 100);
            assert_range(from, to, (int64_t)random_below(&seed, 1u << random_below(&seed, 16)),
                         end);
        }
        assert_range(0, STEP_MAX, 0, end);
        assert_range(0, STEP_MAX, 1 << 20, end);
        assert_range(end - 1, end - 1, 1, end);
        assert_range(end, STEP_MAX, 1, end);
    }
    // As wide as a hundredth of the run: few entries are read.
    ck_assert_uint_lt(assert_range(0, STEP_MAX, N / 100, 2 * N), 5000);
    ck_assert_uint_lt(assert_range(0, STEP_MAX, 64, 2 * N), 8000);
    close_store();
    open_store();
    assert_range(1001, 2 * N - 999, 1024, 2 * N);
}
END_TEST

START_TEST(test_cells) {
    struct tier_cell c, d;
    tier_cell_clear(&c);
    tier_cell_clear(&d);
    tier_cell_add(&c, num_missing());
    ck_assert(num_is_missing(c.value[AGGREGATE_LAST]) && num_is_missing(c.value[AGGREGATE_MEAN]));
    tier_cell_add(&c, (double)NAN);
    ck_assert(isnan(c.value[AGGREGATE_MIN]) && c.value[AGGREGATE_NONFINITE] > 0);
    tier_cell_add(&c, 3);
    tier_cell_add(&c, (double)INFINITY);
    ck_assert_double_eq(c.value[AGGREGATE_MIN], 3);
    ck_assert_double_infinite(c.value[AGGREGATE_MAX]);
    ck_assert_double_eq(c.value[AGGREGATE_MEAN], 3);
    tier_cell_add(&d, 1e308);
    tier_cell_add(&d, 1e308);
    ck_assert_double_eq(d.value[AGGREGATE_MEAN], 1e308);
    tier_cell_join(&c, &d);
    ck_assert_double_eq(c.value[AGGREGATE_COUNT], 5);
    ck_assert_double_eq(c.value[AGGREGATE_NONFINITE], 2);
    ck_assert_double_eq(c.value[AGGREGATE_LAST], 1e308);
}
END_TEST

START_TEST(test_a_damaged_tier_costs_nothing_but_itself) {
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
    put_steps(0, 2 * 20000);
    maintain();
    execute_sql("UPDATE segment SET head=zeroblob(10) WHERE level=1");
    assert_range(0, STEP_MAX, 64, 2 * 20000); // read from the steps
}
END_TEST

// -- readings ------------------------------------------------------------------------------------

#define READINGS 5000
#define EVERY 256
#define GAP 1500 // this entry's step has no value, though steps before it had

static double spike_at(int64_t i) {
    return i == 3333 ? 1e6 : i == GAP ? 77 : 2;
}

static void put_readings(int64_t from, int64_t to) {
    struct step s;
    struct buf blob = new_buf();
    step_init(&s);
    OK(store_begin(store));
    for (int64_t i = from; i < to; i++) {
        step_clear(&s, 2);
        double *value = step_add_column(&s, STAT_NONE, "x", 1);
        double *least = step_add_column(&s, STAT_NONE, "x.min", 5);
        double *greatest = step_add_column(&s, STAT_NONE, "x.max", 5);
        value[0] = least[0] = greatest[0] = -1;
        value[1] = i == GAP ? num_missing() : 1 + (double)i / READINGS;
        least[1] = -spike_at(i);
        greatest[1] = spike_at(i);
        ck_assert(step_add_scalar(&s, "x", 1, (double)i));
        buf_clear(&blob);
        ck_assert(blob_encode(&s, &blob));
        OK(store_put_reading(store, ATTEMPT, i * EVERY, blob.data, blob.len));
    }
    OK(store_commit(store));
    step_free(&s);
    buf_free(&blob);
}

struct course {
    uint64_t points, count;
    double min, max, at_gap, whole;
};

static bool take_reading(void *context, size_t series, const struct range_point *p) {
    struct course *c = context;
    if (series == 1) {
        c->whole += p->cell.value[AGGREGATE_COUNT];
        ck_assert_double_eq(p->cell.value[AGGREGATE_LAST], (double)(p->last / EVERY));
        return true;
    }
    c->points++;
    c->count += (uint64_t)p->cell.value[AGGREGATE_COUNT];
    c->min = fmin(c->min, p->cell.value[AGGREGATE_MIN]);
    c->max = fmax(c->max, p->cell.value[AGGREGATE_MAX]);
    if (p->last == GAP * EVERY) {
        c->at_gap = p->cell.value[AGGREGATE_LAST];
    } else {
        ck_assert_double_eq(p->cell.value[AGGREGATE_LAST],
                            1 + (double)(p->last / EVERY) / READINGS);
    }
    return true;
}

static struct course read_course(int64_t width) {
    struct course c = {0};
    struct range_series series[] = {
        {.key = {.kind = COLUMN_STATISTIC, .name = "x", .name_len = 1}, .row = 1},
        {.key = {.kind = COLUMN_SCALAR, .name = "x", .name_len = 1}}};
    struct range range = {.attempt = ATTEMPT,
                          .kind = SEGMENT_READINGS,
                          .to = STEP_MAX,
                          .width = width,
                          .series = series,
                          .n_series = 2,
                          .point = take_reading,
                          .context = &c};
    ck_assert_int_eq(range_read(reader, &range), 0);
    ck_assert_double_eq(c.whole, READINGS);
    ck_assert_double_eq(c.min, -1e6);
    ck_assert_double_eq(c.max, 1e6);
    return c;
}

// In the journal, packed, and drawn from tiers the extremes of every step are there.
START_TEST(test_readings) {
    int64_t first;
    put_run(1, "r", "");
    put_attempt(ATTEMPT, 1, -1, FACTS);
    ck_assert_int_eq(range_first(reader, ATTEMPT, SEGMENT_READINGS, false, &first), 0);
    put_readings(0, READINGS / 2);
    maintain();
    put_readings(READINGS / 2, READINGS);
    for (int packed = 0; packed < 2; packed++) {
        struct course exact = read_course(1);
        ck_assert_uint_eq(exact.points, READINGS);
        ck_assert_uint_eq(exact.count, READINGS);
        ck_assert_double_eq(exact.at_gap, 77);
        ck_assert_int_eq(range_first(reader, ATTEMPT, SEGMENT_READINGS, true, &first), 1);
        ck_assert_int_eq(first, 0);
        struct course wide = read_course(100);
        ck_assert_uint_lt(wide.points, packed ? READINGS / 8 : READINGS);
        put_readings(READINGS - 10, packed ? 0 : READINGS); // what is there already stays
        maintain();
    }
    OK(store_delete_run(store, 1));
    maintain();
    ck_assert_int_eq(range_first(reader, ATTEMPT, SEGMENT_READINGS, false, &first), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_ranges, test_cells, test_readings,
                                  test_a_damaged_tier_costs_nothing_but_itself};
    return run_suite(store_suite("range", tests, COUNT(tests)));
}
