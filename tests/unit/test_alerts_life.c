// The life of an alert, the robust z-score and the healthy level, each alone.
#include "test_probes_feed.h"

#include "alerts/baseline.h"
#include "alerts/life.h"
#include "alerts/robust_z.h"

static const struct rule rule = {.for_steps = 3, .keep_firing_steps = 2};

// Conditions: '+' fires, '!' fires and is critical, '~' is between fire and clear, '-' is clear.
static struct finding finding_of(char c) {
    return (struct finding){.fire = c == '+' || c == '!',
                            .clear = c == '-',
                            .severity = c == '!' ? SEVERITY_CRITICAL : SEVERITY_WARNING,
                            .value = c,
                            .threshold = 1};
}

// Plays conditions step by step and writes what happened: b began, c cancelled, F fired, W
// worsened, R resolved, '.' nothing.
static void play(struct life *l, const struct rule *r, int64_t step, const char *conditions,
                 const char *expected) {
    static const char letters[] = ".bcFWR";
    char got[256] = "";
    for (size_t i = 0; conditions[i]; i++) {
        struct finding f = finding_of(conditions[i]);
        got[i] = letters[life_step(l, r, step + (int64_t)i, (double)i, &f)];
    }
    ck_assert_str_eq(got, expected);
}

START_TEST(fires_after_for_steps) {
    struct life l = {0};
    play(&l, &rule, 10, "--+++", "..b.F");
    ck_assert_int_eq(l.since, 12);
    ck_assert_int_eq(l.fired, 14);
    ck_assert(life_is_firing(&l));
}
END_TEST

START_TEST(fires_at_once_without_waiting) {
    struct life l = {0};
    play(&l, &(struct rule){.for_steps = 1}, 0, "-+", ".F");
    l = (struct life){0};
    play(&l, &(struct rule){.for_steps = 0}, 0, "-+", ".F");
}
END_TEST

START_TEST(cancelled_before_it_fires) {
    struct life l = {0};
    play(&l, &rule, 0, "++-+~+++", "b.cbcb.F");
    ck_assert_int_eq(l.since, 5);
}
END_TEST

START_TEST(holds_between_fire_and_clear) {
    struct life l = {0};
    play(&l, &rule, 0, "+++~~~~-~-+--", "b.F.........R");
}
END_TEST

START_TEST(worsens_once) {
    struct life l = {0};
    play(&l, &rule, 0, "+++!!+!--", "b.FW....R");
    ck_assert_int_eq(l.severity, SEVERITY_CRITICAL);
    ck_assert_int_eq(l.fired, 2);
}
END_TEST

START_TEST(quiet_after_a_resolution) {
    struct life l = {0};
    play(&l, &rule, 0, "+++--", "b.F.R");
    play(&l, &rule, 5, "+++-", "....");
    play(&l, &rule, 4 + LIFE_COOLDOWN_STEPS - 1, "+", ".");
    play(&l, &rule, 4 + LIFE_COOLDOWN_STEPS, "+++", "b.F");
}
END_TEST

START_TEST(quiet_ends_for_what_is_stronger) {
    struct life l = {0};
    play(&l, &rule, 0, "+++--", "b.F.R");
    play(&l, &rule, 5, "+!!!--", ".b.F.R");
    play(&l, &rule, 11, "!!!", "...");
}
END_TEST

START_TEST(ends) {
    struct life l = {0};
    ck_assert_int_eq(life_end(&l, 0), LIFE_NOTHING);
    play(&l, &rule, 0, "+", "b");
    ck_assert_int_eq(life_end(&l, 1), LIFE_CANCELLED);
    play(&l, &rule, 2, "+++", "b.F"); // what was only pending is not followed by quiet
    ck_assert_int_eq(life_end(&l, INT64_MAX), LIFE_RESOLVED);
    ck_assert_int_eq(life_end(&l, INT64_MAX), LIFE_NOTHING);
    ck_assert(l.quiet_until == INT64_MAX);
}
END_TEST

START_TEST(robust_z_of_a_known_case) {
    static const double values[] = {1, 2, 3, 4, 100};
    struct robust_z r = {0};
    for (size_t i = 0; i < ROBUST_Z_WINDOW; i++) {
        ck_assert(!robust_z_is_full(&r) && !(fabs(robust_z_score(&r, 100)) > 0));
        robust_z_add(&r, i < 125 ? values[i % 5] : 3);
    }
    ck_assert_double_eq_tol((double)r.median, 3, 1e-12);
    ck_assert_double_eq_tol(robust_z_score(&r, 100), 65.425505769, 1e-5);
}
END_TEST

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *values, size_t n) {
    qsort(values, n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// Against a plain computation, with few distinct values so that ties are met as well.
START_TEST(robust_z_keeps_its_window) {
    static double all[2000], part[ROBUST_Z_WINDOW];
    struct robust_z r = {0};
    struct dice dice = {11};
    for (size_t k = 0; k < 2000; k++) {
        all[k] = _i ? floor(8 * dice_normal(&dice)) : (double)(float)dice_normal(&dice);
        robust_z_add(&r, all[k]);
        ck_assert(robust_z_is_valid(&r));
        size_t n = ROBUST_Z_WINDOW;
        if (k + 1 < n || (k + 1) % ROBUST_Z_REFRESH != 0) {
            continue; // median and MAD are looked at now and then only, from the full window on
        }
        memcpy(part, &all[k + 1 - n], n * sizeof *part);
        double median = median_of(part, n);
        for (size_t i = 0; i < n; i++) {
            part[i] = fabs(part[i] - median);
        }
        double sigma = median_of(part, n) / 0.6744897501960817;
        ck_assert_double_eq_tol((double)r.median, median, 1e-6);
        if (sigma > 0) {
            ck_assert_double_eq_tol((double)r.sigma, sigma, 1e-6 * (1 + sigma));
        }
    }
    ck_assert(robust_z_is_full(&r));
}
END_TEST

START_TEST(robust_z_of_equal_values) {
    struct robust_z r = {0};
    ck_assert_double_eq_tol(robust_z_score(&r, 5), 0, 1e-12);
    for (int k = 0; k < 200; k++) {
        robust_z_add(&r, k % 10 == 9 ? 8 : 7); // MAD 0, mean distance 0.1
    }
    ck_assert_double_eq_tol((double)r.median, 7, 1e-12);
    ck_assert_double_eq_tol((double)r.sigma, 1.2533 * 0.1, 0.01);
    for (int k = 0; k < 200; k++) {
        robust_z_add(&r, 7);
    }
    ck_assert(isfinite(robust_z_score(&r, 7.1)) && robust_z_score(&r, 7.1) > 1000);
}
END_TEST

// Against a tabulated rate of 4.6e-6 a step for z > 5 with normal noise and this window.
START_TEST(robust_z_false_alarms) {
    enum { STEPS = 4000000 };
    struct robust_z r = {0};
    struct dice dice = {5};
    int alarms = 0;
    for (int k = 0; k < STEPS; k++) {
        double x = dice_normal(&dice);
        alarms += robust_z_is_full(&r) && robust_z_score(&r, x) > 5;
        robust_z_add(&r, x);
    }
    ck_assert_int_ge(alarms, 5); // Poisson with mean 18.4: both tails below 1 in 1000
    ck_assert_int_le(alarms, 34);
}
END_TEST

START_TEST(robust_z_winsorises) {
    struct robust_z r = {0};
    struct dice dice = {6};
    for (int k = 0; k < ROBUST_Z_WINDOW; k++) {
        robust_z_add_winsorised(&r, dice_normal(&dice));
    }
    double reach = (double)r.median + 4 * (double)r.sigma;
    robust_z_add_winsorised(&r, 1e6);
    ck_assert_double_eq_tol((double)r.waiting[0], reach, 1e-5);
}
END_TEST

START_TEST(baseline_learns_and_resists) {
    struct baseline b = {0};
    struct dice dice = {7};
    for (int k = 0; k < 2000; k++) {
        ck_assert(baseline_is_known(&b) == (k >= BASELINE_LEARN));
        baseline_add(&b, 3 + 0.1 * dice_normal(&dice));
    }
    ck_assert_double_eq_tol(b.level, 3, 0.03);
    ck_assert_double_eq_tol(b.spread, 0.1, 0.02);
    double before = b.level;
    baseline_add(&b, 1e6); // counts as four spreads
    ck_assert_double_le(b.level - before, 4.1 * 0.12 * BASELINE_ALPHA);
    for (int k = 0; k < BASELINE_HOLD_MAX - 1; k++) {
        baseline_hold(&b, 9);
    }
    ck_assert_double_eq_tol(b.level, 3, 0.03);
    baseline_hold(&b, 9); // for so long that it must be the new normal
    ck_assert_double_eq_tol(b.level, 9, 1e-12);
    ck_assert(!baseline_is_known(&b));
}
END_TEST

START_TEST(baseline_becomes_stale) {
    struct baseline b = {0};
    baseline_make_stale(&b);
    ck_assert_uint_eq(b.count, 0);
    for (int k = 0; k < 100; k++) {
        baseline_add(&b, 2);
    }
    baseline_make_stale(&b);
    ck_assert(!baseline_is_known(&b));
    ck_assert_double_eq_tol(b.level, 2, 1e-12);
}
END_TEST

int main(void) {
    Suite *s = suite_create("alerts' life and statistics");
    TCase *life = tcase_create("life");
    tcase_add_test(life, fires_after_for_steps);
    tcase_add_test(life, fires_at_once_without_waiting);
    tcase_add_test(life, cancelled_before_it_fires);
    tcase_add_test(life, holds_between_fire_and_clear);
    tcase_add_test(life, worsens_once);
    tcase_add_test(life, quiet_after_a_resolution);
    tcase_add_test(life, quiet_ends_for_what_is_stronger);
    tcase_add_test(life, ends);
    suite_add_tcase(s, life);
    TCase *statistics = tcase_create("statistics");
    tcase_set_timeout(statistics, 120);
    tcase_add_test(statistics, robust_z_of_a_known_case);
    tcase_add_loop_test(statistics, robust_z_keeps_its_window, 0, 2);
    tcase_add_test(statistics, robust_z_of_equal_values);
    tcase_add_test(statistics, robust_z_false_alarms);
    tcase_add_test(statistics, robust_z_winsorises);
    tcase_add_test(statistics, baseline_learns_and_resists);
    tcase_add_test(statistics, baseline_becomes_stale);
    suite_add_tcase(s, statistics);
    return feed_main(s);
}
