// The set of a run's steps beside a plain list of them.
#include "runs/stepset.h"
#include "tests/unit/support/support.h"
#include "wire/step.h"

#define MANY 4000

static struct stepset set;
static int64_t list[MANY];
static size_t n_list;

static bool list_has(int64_t step) {
    for (size_t i = 0; i < n_list; i++) {
        if (list[i] == step) {
            return true;
        }
    }
    return false;
}

static void assert_same(const struct stepset *s) {
    ck_assert_int_eq(s->count, (int64_t)n_list);
    ck_assert_int_eq(stepset_first(s), n_list ? list[0] : -1);
    ck_assert_int_eq(stepset_last(s), n_list ? list[n_list - 1] : -1);
    for (size_t i = 0; i < n_list; i++) {
        ck_assert(stepset_has(s, list[i]));
    }
}

static void add(int64_t step) {
    stepset_add(&set, step);
    list[n_list++] = step;
}

static void truncate_both(int64_t last) {
    stepset_truncate(&set, last);
    while (n_list && list[n_list - 1] > last) {
        n_list--;
    }
}

// A set that was saved and loaded is the same.
static void reload(void) {
    struct buf bytes = new_buf();
    struct stepset loaded = {0};
    stepset_save(&set, &bytes);
    ck_assert_uint_eq(stepset_load(&loaded, bytes.data, bytes.len), bytes.len);
    stepset_free(&set);
    set = loaded;
    buf_free(&bytes);
}

static void start(void) {
    stepset_free(&set);
    n_list = 0;
}

// Steps in stretches of a constant stride, as jobs send them, with some odd ones between.
static void add_stretches(uint64_t *seed, size_t n) {
    int64_t next = stepset_last(&set) + 1;
    while (n > 0) {
        int64_t stride = 1 + (int64_t)random_below(seed, 4);
        for (size_t k = 1 + random_below(seed, 20); k > 0 && n > 0; k--, n--) {
            add(next);
            next += stride;
        }
        next += (int64_t)random_below(seed, 3);
    }
}

START_TEST(test_like_a_list) {
    uint64_t seed = 12;
    for (int round = 0; round < 200; round++) {
        start();
        for (int k = 0; k < 4; k++) {
            add_stretches(&seed, random_below(&seed, 100));
            assert_same(&set);
            int64_t last = stepset_last(&set);
            for (int64_t step = -2; step < last + 3; step++) {
                ck_assert_int_eq(stepset_has(&set, step), list_has(step));
            }
            truncate_both((int64_t)random_below(&seed, (size_t)last + 3) - 2);
            assert_same(&set);
        }
    }
    start();
}
END_TEST

START_TEST(test_one_range_a_stride) {
    static const int64_t strides[] = {1, 7, 1000};
    for (size_t i = 0; i < COUNT(strides); i++) {
        start();
        for (int64_t k = 0; k < MANY; k++) {
            add(5 + k * strides[i]);
        }
        ck_assert_uint_eq(set.n, 1);
        assert_same(&set);
        ck_assert(!stepset_has(&set, 4) && !stepset_has(&set, stepset_last(&set) + strides[i]));
    }
    start();
}
END_TEST

START_TEST(test_truncate_edges) {
    start();
    truncate_both(5);
    assert_same(&set);
    static const int64_t lasts[] = {100, 40, 39, 31, 30, 11, 10, 9, -1};
    for (size_t i = 0; i < COUNT(lasts); i++) {
        start();
        for (int64_t step = 10; step <= 40; step += 10) {
            add(step);
        }
        truncate_both(lasts[i]);
        reload();
        assert_same(&set);
        // What remains can be added to: a range of one step takes any stride.
        add(50);
        add(57);
        assert_same(&set);
        for (int64_t step = 0; step < 60; step++) {
            ck_assert_int_eq(stepset_has(&set, step), list_has(step));
        }
    }
    start();
    add(STEP_MAX - 1);
    add(STEP_MAX);
    truncate_both(STEP_MAX - 1);
    assert_same(&set);
    start();
}
END_TEST

START_TEST(test_save_and_load) {
    uint64_t seed = 13;
    for (int round = 0; round < 100; round++) {
        start();
        add_stretches(&seed, random_below(&seed, 300));
        struct buf bytes = new_buf();
        buf_puts(&bytes, "");
        stepset_save(&set, &bytes);
        size_t size = bytes.len;
        buf_puts(&bytes, "what follows");
        struct stepset loaded = {0};
        stepset_add(&loaded, 3); // goes
        ck_assert_uint_eq(stepset_load(&loaded, bytes.data, bytes.len), size);
        assert_same(&loaded);
        stepset_add(&loaded, stepset_last(&set) + 100);
        stepset_free(&loaded);
        for (size_t n = 0; n < size; n++) {
            char *exact = exact_copy(bytes.data, n);
            ck_assert_uint_eq(stepset_load(&loaded, exact, n), 0);
            ck_assert_ptr_null(loaded.ranges);
            free(exact);
        }
        buf_free(&bytes);
    }
    start();
}
END_TEST

static size_t load_ranges(const struct step_range *ranges, uint64_t n, struct stepset *out) {
    struct buf bytes = new_buf();
    buf_put(&bytes, &n, sizeof n);
    buf_put(&bytes, ranges, (n < 2 ? n : 2) * sizeof *ranges);
    size_t read = stepset_load(out, bytes.data, bytes.len);
    buf_free(&bytes);
    return read;
}

START_TEST(test_corrupt_bytes) {
    static const struct step_range bad[][2] = {
        {{-1, 5, 1}, {10, 10, 0}},                // below zero
        {{5, 4, 1}, {10, 10, 0}},                 // backwards
        {{1, 5, 0}, {10, 10, 0}},                 // several without a stride
        {{1, 1, 1}, {10, 10, 0}},                 // one with a stride
        {{1, 6, 2}, {10, 10, 0}},                 // the last is none of them
        {{1, 5, -1}, {10, 10, 0}},                // a stride backwards
        {{1, 5, 1}, {5, 5, 0}},                   // overlap
        {{1, 5, 1}, {10, STEP_MAX + 1, 1}},       // more than there is
        {{0, INT64_MAX, 1}, {10, 10, 0}},         // a count that overflows
        {{INT64_MIN, INT64_MAX, 1}, {10, 10, 0}}, // a difference that overflows
    };
    struct stepset loaded = {0};
    stepset_add(&loaded, 3);
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_msg(load_ranges(bad[i], 2, &loaded) == 0, "%zu", i);
    }
    static const struct step_range good[] = {{0, STEP_MAX - 1, 1}, {STEP_MAX, STEP_MAX, 0}};
    ck_assert_uint_eq(load_ranges(good, UINT64_MAX, &loaded), 0);
    ck_assert_uint_eq(load_ranges(good, UINT64_MAX / sizeof *good + 1, &loaded), 0);
    ck_assert_int_eq(stepset_last(&loaded), 3); // as it was
    ck_assert_uint_eq(load_ranges(good, 2, &loaded), 8 + 2 * sizeof *good);
    ck_assert_int_eq(loaded.count, STEP_MAX + 1);
    ck_assert_uint_eq(load_ranges(good, 0, &loaded), 8);
    ck_assert_int_eq(stepset_last(&loaded), -1);
    stepset_free(&loaded);
}
END_TEST

// Bytes changed anywhere: refused, or a set that is one.
START_TEST(test_random_damage) {
    uint64_t seed = 14;
    struct buf bytes = new_buf();
    start();
    add_stretches(&seed, 100);
    stepset_save(&set, &bytes);
    for (int i = 0; i < 50000; i++) {
        size_t at = random_below(&seed, bytes.len);
        char was = bytes.data[at];
        bytes.data[at] = (char)random_next(&seed);
        struct stepset loaded = {0};
        if (stepset_load(&loaded, bytes.data, bytes.len)) {
            ck_assert_int_ge(loaded.count, (int64_t)loaded.n);
            ck_assert(loaded.n == 0 || stepset_has(&loaded, stepset_first(&loaded)));
            ck_assert(loaded.n == 0 || stepset_has(&loaded, stepset_last(&loaded)));
            stepset_truncate(&loaded, stepset_last(&loaded) / 2);
            ck_assert_int_ge(loaded.count, (int64_t)loaded.n);
        }
        stepset_free(&loaded);
        bytes.data[at] = was;
    }
    buf_free(&bytes);
    start();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_like_a_list,   test_one_range_a_stride, test_truncate_edges,
        test_save_and_load, test_corrupt_bytes,      test_random_damage,
    };
    return run_suite(suite_of("stepset", tests, COUNT(tests)));
}
