// Where a loss's level breaks.
#include "probes/loss_course.h"
#include "test_probes_feed.h"

static struct loss_course course;
static struct phase_change change;
static struct dice dice;

static void setup(void) {
    loss_course_begin(&course);
    dice = (struct dice){77};
}

// The losses of so many steps, noise in proportion; how many changes were found.
static int run(int64_t *step, int n, double level, double noise) {
    int found = 0;
    for (int i = 0; i < n; i++, ++*step) {
        found += loss_course_add(&course, *step, level * (1 + noise * dice_normal(&dice)), &change);
    }
    return found;
}

START_TEST(a_jump_is_found_once_and_where_it_is) {
    static const double jumps[] = {0.5, 1.5, 10, 1e6};
    int64_t step = 0;
    dice.state += (uint64_t)_i;
    ck_assert_int_eq(run(&step, 1000, 2, 0.1), 0);
    ck_assert_int_eq(run(&step, 1000, 2 * jumps[_i % 4], 0.1), 1);
    ck_assert_int_eq(change.what, PHASE_LOSS);
    ck_assert_int_ge(change.step, 1000 - LEVEL_BLOCK);
    ck_assert_int_le(change.step, 1000 + LEVEL_BLOCK);
    ck_assert_int_gt(change.found, change.step);
    ck_assert_int_lt(change.found, 1000 + 8 * LEVEL_BLOCK);
    ck_assert_double_eq_tol(change.before, 2, 0.1);
    ck_assert_double_eq_tol(change.after / (2 * jumps[_i % 4]), 1, 0.3);
    ck_assert_double_gt(change.probability, 0.9);
}
END_TEST

START_TEST(losses_at_or_below_zero_too) {
    int64_t step = 0;
    ck_assert_int_eq(run(&step, 1000, -2, 0.1), 0);
    ck_assert_int_eq(run(&step, 1000, -4, 0.1), 1);
    ck_assert_double_eq_tol(change.before, -2, 0.1);
    ck_assert_double_eq_tol(change.after, -4, 1);
}
END_TEST

// A false one now and then: some 40,000 blocks are judged.
START_TEST(noise_and_learning_are_no_change) {
    int found = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        setup();
        dice.state = 1000 * seed;
        for (int64_t step = 0; step < 32000; step++) {
            double level = seed % 2 ? 1 : 3 / (1 + 0.003 * (double)step) + 0.2;
            found += loss_course_add(&course, step, level * exp(0.2 * dice_normal(&dice)), &change);
        }
    }
    ck_assert_int_le(found, 4);
}
END_TEST

START_TEST(what_is_no_number_is_passed_over) {
    int64_t step = 0;
    run(&step, 500, 1, 0.1);
    struct loss_course before = course;
    ck_assert(!loss_course_add(&course, 500, NAN, &change));
    ck_assert(!loss_course_add(&course, 501, INFINITY, &change));
    ck_assert(!loss_course_add(&course, 502, -1e300, &change));
    ck_assert(memcmp(&before, &course, sizeof course) == 0);
    for (int i = 0; i < 1000; i++) { // nor does what is constant or vast do harm
        loss_course_add(&course, step++, i < 500 ? 0 : 1e100, &change);
    }
    ck_assert(isfinite(course.levels.trend) && isfinite(course.levels.spread));
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("loss course");
    TCase *t = tcase_create("loss course");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, a_jump_is_found_once_and_where_it_is, 0, 16);
    tcase_add_test(t, losses_at_or_below_zero_too);
    tcase_add_test(t, noise_and_learning_are_no_change);
    tcase_add_test(t, what_is_no_number_is_passed_over);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    return feed_main(suite());
}
