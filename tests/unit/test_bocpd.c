// Change points: a worked example to nine digits, a brute-force filter without logarithms or
// pruning, and what the posterior must do on level shifts, on noise and on input that is none.
#include "probes/bocpd.h"
#include "base/num.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOT_A_NUMBER ((double)NAN)
#define NEAR(x, y, tolerance) ck_assert_double_eq_tol((x), (y), (tolerance))

static struct bocpd start(double expected_run) {
    struct bocpd b;
    bocpd_start(&b, expected_run, 0, 1, 1, 1);
    return b;
}

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state) {
    double r = sqrt(-2 * log(uniform(state)));
    return r * cos(2 * M_PI * uniform(state));
}

START_TEST(worked_example) {
    static const double x[] = {0.1, -0.2, 0.05, 5, 5.2};
    static const double evidence[] = {-1.3900396814177713, -1.0462875012162842, -0.8018610374878443,
                                      -7.467542802774932, -3.179899226738078};
    static const double posterior[] = {0.01,
                                       0.002752930887643761,
                                       0.40448693525785945,
                                       0.053453685860955225,
                                       0.011958451312838281,
                                       0.5173479966807033};
    struct bocpd b = start(100);
    ck_assert_double_eq(bocpd_exactly(&b, 0), 1);
    for (int i = 0; i < 5; i++) {
        NEAR(bocpd_add(&b, x[i]), evidence[i], 1e-13);
        NEAR(bocpd_at_most(&b, 1000), 1, 1e-14);
    }
    double sum = 0;
    for (unsigned r = 0; r < 6; r++) {
        sum += posterior[r];
        NEAR(bocpd_exactly(&b, r), posterior[r], 1e-13);
        NEAR(bocpd_at_most(&b, r), sum, 1e-13);
    }
    ck_assert_uint_eq(bocpd_most_probable(&b), 5);
    ck_assert_double_eq(bocpd_exactly(&b, 6), 0);
}
END_TEST

// The textbook's recursion with plain probabilities, every run length kept.
enum { PLAIN_MAX = 128 };
struct plain {
    int n;
    double p[PLAIN_MAX], mean[PLAIN_MAX], beta[PLAIN_MAX];
};

static double plain_add(struct plain *f, double hazard, double x) {
    double total = 0, change = 0;
    for (int r = f->n; r >= 0; r--) {
        double kappa = 1 + r, alpha = 1 + r / 2.0, nu = 2 * alpha;
        double scale = sqrt(f->beta[r] * (kappa + 1) / (alpha * kappa)),
               u = (x - f->mean[r]) / scale;
        double density = tgamma(nu / 2 + 0.5) / tgamma(nu / 2) / sqrt(nu * M_PI) / scale *
                         pow(1 + u * u / nu, -(nu + 1) / 2);
        total += f->p[r] * density;
        change += f->p[r] * density * hazard;
        f->p[r + 1] = f->p[r] * density * (1 - hazard);
        f->beta[r + 1] = f->beta[r] + kappa * pow(x - f->mean[r], 2) / (2 * (kappa + 1));
        f->mean[r + 1] = (kappa * f->mean[r] + x) / (kappa + 1);
    }
    f->p[0] = change, f->mean[0] = 0, f->beta[0] = 1;
    f->n++;
    for (int r = 0; r <= f->n; r++) {
        f->p[r] /= total;
    }
    return log(total);
}

START_TEST(same_as_the_plain_recursion) {
    struct plain f = {0, {1}, {0}, {1}};
    struct bocpd b = start(20);
    uint64_t dice = 11;
    for (int i = 0; i < 120; i++) {
        double x = normal(&dice) * (i < 70 ? 1 : 0.1) + (i > 40 ? 3 : 0);
        NEAR(bocpd_add(&b, x), plain_add(&f, 1.0 / 20, x), 1e-9);
        for (int r = 0; r <= f.n; r++) {
            NEAR(bocpd_exactly(&b, (uint64_t)r), f.p[r], 1e-10);
        }
    }
}
END_TEST

START_TEST(sees_a_jump_and_no_other) {
    struct bocpd b = start(250);
    uint64_t dice = 5;
    for (int i = 0; i < 400; i++) {
        bocpd_add(&b, normal(&dice));
        ck_assert(bocpd_at_most(&b, 5) < 0.9 || i < 10);
    }
    ck_assert_uint_gt(bocpd_most_probable(&b), 350);
    for (int i = 0; i < 5; i++) {
        bocpd_add(&b, 6 + normal(&dice));
    }
    ck_assert(bocpd_at_most(&b, 5) > 0.9);
    ck_assert_uint_eq(bocpd_most_probable(&b), 5);
    for (int i = 0; i < 100; i++) {
        bocpd_add(&b, 6 + normal(&dice));
    }
    ck_assert(bocpd_at_most(&b, 5) < 0.1);
    ck_assert_uint_eq(bocpd_most_probable(&b), 105);
}
END_TEST

// With far more run lengths than are kept: the posterior stays one, the true run is never lost.
START_TEST(pruned) {
    struct bocpd b = start(250);
    uint64_t dice = 9;
    for (int i = 1; i <= 5000; i++) {
        ck_assert(isfinite(bocpd_add(&b, normal(&dice))));
        ck_assert(b.count <= BOCPD_RUNS && bocpd_is_valid(&b));
        NEAR(bocpd_at_most(&b, UINT64_MAX), 1, 1e-12);
        ck_assert(bocpd_exactly(&b, 0) > 0);
    }
    ck_assert_uint_eq(b.count, BOCPD_RUNS);
    ck_assert_uint_gt(bocpd_most_probable(&b), 4900);
}
END_TEST

// Where changes are thought rare and the data have heavy tails, every run that is kept can be more
// probable than the newest: it must stay nevertheless.
START_TEST(newest_is_kept) {
    struct bocpd b = start(1e15);
    uint64_t dice = 1;
    for (int i = 0; i < 5000; i++) {
        double n = normal(&dice);
        ck_assert(isfinite(bocpd_add(&b, n / uniform(&dice))));
        ck_assert(bocpd_exactly(&b, 0) > 0);
    }
}
END_TEST

START_TEST(copied_state_goes_on_the_same) {
    struct bocpd a = start(50), b;
    uint64_t dice = 2;
    for (int i = 0; i < 300; i++) {
        bocpd_add(&a, normal(&dice));
    }
    memcpy(&b, &a, sizeof a);
    ck_assert(bocpd_is_valid(&b));
    for (int i = 0; i < 300; i++) {
        double x = normal(&dice);
        ck_assert_double_eq(bocpd_add(&a, x), bocpd_add(&b, x));
    }
    ck_assert_double_eq(bocpd_at_most(&a, 5), bocpd_at_most(&b, 5));
}
END_TEST

START_TEST(strange_input) {
    struct bocpd b = start(100);
    bocpd_add(&b, 1);
    struct bocpd before = b;
    static const double none[] = {NOT_A_NUMBER, HUGE_VAL, -HUGE_VAL, 2e100};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        ck_assert(num_is_missing(bocpd_add(&b, none[i])));
        ck_assert(b.count == before.count && bocpd_at_most(&b, 1) == bocpd_at_most(&before, 1));
    }
    // The same value again and again, and leaps over two hundred orders of magnitude.
    for (int i = 0; i < 1000; i++) {
        ck_assert(isfinite(bocpd_add(&b, 1)) && bocpd_is_valid(&b));
    }
    for (int i = 0; i < 1000; i++) {
        double x = i % 3 ? 1e100 : 1e-100;
        ck_assert(isfinite(bocpd_add(&b, i % 2 ? x : -x)));
        ck_assert_msg(bocpd_is_valid(&b), "step %d", i);
        NEAR(bocpd_at_most(&b, UINT64_MAX), 1, 1e-9);
    }
}
END_TEST

START_TEST(broken_state_is_refused) {
    struct bocpd good = start(100), b;
    for (int i = 0; i < 4; i++) {
        bocpd_add(&good, i);
    }
    ck_assert(bocpd_is_valid(&good));
    b = good, b.count = 0;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.count = BOCPD_RUNS + 1;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.runs[1].beta = 0;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.runs[1].length = b.runs[2].length;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.runs[0].log_probability = NOT_A_NUMBER;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.runs[3].mean = HUGE_VAL;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.kappa = -1;
    ck_assert(!bocpd_is_valid(&b));
    b = good, b.log_stay = 0;
    ck_assert(!bocpd_is_valid(&b));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bocpd");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, worked_example);
    tcase_add_test(tc, same_as_the_plain_recursion);
    tcase_add_test(tc, sees_a_jump_and_no_other);
    tcase_add_test(tc, pruned);
    tcase_add_test(tc, newest_is_kept);
    tcase_add_test(tc, copied_state_goes_on_the_same);
    tcase_add_test(tc, strange_input);
    tcase_add_test(tc, broken_state_is_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
