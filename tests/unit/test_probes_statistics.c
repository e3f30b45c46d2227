// The statistics below the instruments, against closed forms and published worked examples.
#include "test_probes_feed.h"

#include "probes/entropy.h"
#include "probes/ewma.h"
#include "probes/fieller.h"
#include "probes/jackknife.h"
#include "probes/ledger.h"
#include "probes/moments.h"
#include "probes/neumaier.h"
#include "probes/slope.h"
#include "probes/special.h"
#include "probes/student.h"

#define NEAR(x, y, tolerance) ck_assert_double_eq_tol((x), (y), (tolerance))

START_TEST(entropies) {
    NEAR(entropy_normal(1, 1), 1.418938533205, 1e-12);
    NEAR(entropy_normal(1, 4e-4), -2.493084472223, 1e-12);
    NEAR(entropy_normal(1000, 4e-4), -2493.084472223473, 1e-9);
    NEAR(entropy_normal(1000, 0.25), 725.791352644727, 1e-9);
    NEAR(entropy_uniform(1000, -0.1, 0.1), -1609.437912434100, 1e-9);
    NEAR(entropy_normal(1, 2.0 / 512), -1.353650189035, 1e-12);
    double a = sqrt(6.0 / 384);
    NEAR(entropy_uniform(1, -a, a), -1.386294361120, 1e-12);
    NEAR(entropy_normal(300, 0.01) + entropy_uniform(700, -0.2, 0.2), -906.497480248720, 1e-9);
    NEAR(entropy_change(1000, 0.01, 0.0081), -105.360515657826, 1e-9);
    NEAR(entropy_normal(1, 1.0 / 12) - entropy_uniform(1, 0, 1), 0.176485, 1e-6);
}
END_TEST

START_TEST(entropy_of_histograms) {
    double even[64];
    for (int i = 0; i < 64; i++) {
        even[i] = 1.0 / 64;
    }
    NEAR(entropy_histogram(1, even, 64, 0.01), -0.446287102628, 1e-12);
    // The half normal, half uniform mixture, cut so finely that the histogram is the density.
    static double shares[32000];
    double width = 1e-4, total = 0;
    for (int i = 0; i < 32000; i++) {
        double low = (i - 16000) * width, high = low + width;
        double normal = (erf(high / (0.1 * M_SQRT2)) - erf(low / (0.1 * M_SQRT2))) / 2;
        bool inside = i >= 14000 && i < 18000;
        shares[i] = normal / 2 + (inside ? width / 0.4 / 2 : 0);
        total += shares[i];
    }
    NEAR(total, 1, 1e-12);
    NEAR(entropy_histogram(1, shares, 32000, width), -0.851001635477, 1e-6);
}
END_TEST

START_TEST(entropy_changes_do_not_cancel) {
    // Changes in the last bits: logarithms of the ratio, or of both, lose most of their digits.
    double to = 0.017;
    for (int i = 0; i < 20; i++) {
        to = nextafter(to, 1);
        double exact = (to - 0.017) / 0.017;
        ck_assert_double_eq_tol(entropy_change(2, 0.017, to) / exact, 1, 1e-12);
    }
    ck_assert_double_eq_tol(entropy_change(2, 1, 4), log(4), 1e-15);
    ck_assert(isfinite(entropy_change(8, 1e-310, 1e90)));
}
END_TEST

START_TEST(sampling_error_of_entropy) {
    static const double oracle[3][3] = {{10, -0.115206470, 0.498723474},
                                        {100, -0.010135019, 0.142854664},
                                        {1000, -0.001001335, 0.044766141}};
    for (int i = 0; i < 3; i++) {
        NEAR(entropy_log_variance_bias(oracle[i][0]), oracle[i][1], 1e-9);
        NEAR(entropy_log_variance_deviation(oracle[i][0]), oracle[i][2], 1e-9);
    }
    NEAR(digamma(1), -0.57721566490153286, 1e-13);
    NEAR(trigamma(1), M_PI * M_PI / 6, 1e-12);
}
END_TEST

START_TEST(welford_and_merge) {
    struct moments m = {0}, a = {0}, b = {0}, empty = {0};
    static const double far[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
    for (int i = 0; i < 4; i++) {
        moments_add(&m, far[i]);
    }
    ck_assert_double_eq(m.mean, 1000000010);
    ck_assert_double_eq(moments_variance(&m), 30);
    moments_add(&a, 1);
    moments_add(&a, 2);
    moments_add(&a, 3);
    moments_add(&b, 10);
    moments_add(&b, 20);
    moments_merge(&a, &b);
    moments_merge(&a, &empty);
    moments_merge(&empty, &a);
    ck_assert_double_eq(empty.n, 5);
    NEAR(empty.mean, 7.2, 1e-14);
    NEAR(empty.m2, 254.8, 1e-12);
}
END_TEST

START_TEST(merged_is_batch) {
    struct dice dice = {7};
    struct moments all = {0}, parts[3] = {{0}};
    for (int i = 0; i < 3000; i++) {
        double x = 5 + dice_normal(&dice);
        moments_add(&all, x);
        moments_add(&parts[i % 3], x);
    }
    moments_merge(&parts[0], &parts[1]);
    moments_merge(&parts[0], &parts[2]);
    NEAR(parts[0].mean, all.mean, 1e-12);
    NEAR(parts[0].m2, all.m2, 1e-9);
}
END_TEST

static const double short_s[] = {10, 9.5, 9.1, 8.4, 8.0, 7.2};
static const double short_e[] = {2.30, 2.05, 1.91, 1.52, 1.33, 0.90};
static const double long_s[] = {10, 9.8, 9.7, 9.3, 9.1, 9.0, 8.6, 8.5, 8.1, 7.9, 7.8, 7.4};
static const double long_e[] = {2.31, 2.22, 2.15, 2.02, 1.88, 1.86,
                                1.70, 1.58, 1.47, 1.38, 1.26, 1.15};

START_TEST(slopes) {
    double slope, intercept;
    struct theil_sen ts;
    ck_assert(slope_least_squares(short_s, short_e, 6, &slope, &intercept));
    NEAR(slope, 0.499436090, 1e-9);
    NEAR(intercept, -2.676760652, 1e-9);
    ck_assert(slope_theil_sen(short_s, short_e, 6, 0, &ts));
    NEAR(ts.slope, 0.5, 1e-9);
    NEAR(ts.low, 0.433333333, 1e-9);
    NEAR(ts.high, 0.5375, 1e-9);
    ck_assert(slope_theil_sen(long_s, long_e, 12, 0, &ts));
    NEAR(ts.slope, 0.45, 1e-9);
    NEAR(ts.low, 0.433333333, 1e-9);
    NEAR(ts.high, 0.477272727, 1e-9);
}
END_TEST

START_TEST(slopes_that_are_none) {
    static const double same[] = {1, 1, 1}, y[] = {1, 2, 3};
    static double many[SLOPE_POINTS_MAX + 1];
    double slope, intercept;
    struct theil_sen ts;
    ck_assert(!slope_least_squares(same, y, 3, &slope, &intercept));
    ck_assert(!slope_least_squares(y, y, 1, &slope, &intercept));
    ck_assert(!slope_theil_sen(same, y, 3, 0, &ts));
    ck_assert(!slope_theil_sen(many, many, SLOPE_POINTS_MAX + 1, 0, &ts));
}
END_TEST

START_TEST(slope_with_forgetting) {
    struct ew_slope s = {0};
    for (int i = 0; i < 6; i++) {
        ew_slope_add(&s, 0.2, short_s[i], short_e[i]);
    }
    NEAR(s.x, 8.78208, 1e-9);
    NEAR(s.y, 1.704544, 1e-9);
    NEAR(s.covariance, 0.575108628, 1e-9);
    NEAR(s.variance, 1.155774874, 1e-9);
    NEAR(s.covariance / s.variance, 0.497595718, 1e-9);
}
END_TEST

START_TEST(jackknife_of_blocks) {
    static const double oracle[] = {0.455312907, 0.449940120, 0.452774409, 0.449698391};
    double left_out[4], s[9], e[9], intercept;
    for (int g = 0; g < 4; g++) {
        size_t m = 0;
        for (int i = 0; i < 12; i++) {
            if (i / 3 != g) {
                s[m] = long_s[i];
                e[m++] = long_e[i];
            }
        }
        ck_assert(slope_least_squares(s, e, m, &left_out[g], &intercept));
        NEAR(left_out[g], oracle[g], 1e-9);
    }
    NEAR(jackknife_error(left_out, 4), 0.003977761, 1e-9);
    ck_assert_double_eq(jackknife_error(left_out, 1), 0);
}
END_TEST

START_TEST(fieller_intervals) {
    double low = 7, high = 7;
    ck_assert(fieller_interval(-0.5, 0.1, -2, 0.5, 0, &low, &high));
    NEAR(low, 0.132458153, 1e-9);
    NEAR(high, 0.525515520, 1e-9);
    low = high = 7;
    ck_assert(!fieller_interval(-0.5, 0.1, -0.5, 0.5, 0, &low, &high));
    ck_assert_double_eq(low, 7);
    ck_assert(fieller_interval(3, 0, 2, 0, 0, &low, &high));
    ck_assert_double_eq(low, 1.5);
    ck_assert_double_eq(high, 1.5);
    ck_assert(!fieller_interval(0, 1, 0, 0, 0, &low, &high));
}
END_TEST

START_TEST(student_quantiles) {
    static const double oracle[][2] = {{1, 12.706205}, {3, 3.182446},  {5, 2.570582},
                                       {7, 2.364624},  {9, 2.262157},  {10, 2.228139},
                                       {11, 2.200985}, {15, 2.131450}, {19, 2.093024},
                                       {31, 2.039513}, {100, 1.983972}};
    for (size_t i = 0; i < sizeof oracle / sizeof *oracle; i++) {
        NEAR(student_t975((unsigned)oracle[i][0]), oracle[i][1], 2e-6);
    }
    ck_assert(isinf(student_t975(0)));
}
END_TEST

START_TEST(weighted_averages) {
    NEAR(ewma_variance_factor(0.02, 0), 0.010101010, 1e-9);
    NEAR(ewma_variance_factor(0.02, 0.9), 0.161102551, 1e-9);
    NEAR(1 / ewma_window(0.02), 0.010101010, 1e-9);
    struct ewma_pair p;
    ewma_pair_reset(&p);
    ck_assert(!ewma_pair_started(&p));
    for (int i = 0; i < 1000; i++) {
        ewma_pair_add(&p, 0.02, 0.1, 3);
    }
    ck_assert_double_eq(p.num, 0.1);
    ck_assert_double_eq(p.den, 3);
    // Simulated: the variance of the average is the factor times the variance of the series.
    struct dice dice = {11};
    struct ewma e = {0};
    struct moments spread = {0};
    for (int i = 0; i < 400000; i++) {
        ewma_add(&e, 0.1, dice_normal(&dice));
        if (i > 1000) {
            moments_add(&spread, e.mean);
        }
    }
    NEAR(moments_variance(&spread) / ewma_variance_factor(0.1, 0), 1, 0.03);
}
END_TEST

START_TEST(compensated_sum) {
    struct neumaier s = {0};
    neumaier_add(&s, 1);
    neumaier_add(&s, 1e100);
    neumaier_add(&s, 1);
    neumaier_add(&s, -1e100);
    ck_assert_double_eq(neumaier_value(&s), 2);
}
END_TEST

START_TEST(doubles_in_six_bytes) {
    static const double kept[] = {0,        -0.0,     1, -0.75, 0x1p-1022, 0x1.fffffffffp+1023,
                                  INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        ck_assert(same_bits(packed_value(packed_from(kept[i])), kept[i]));
    }
    ck_assert(num_is_missing(packed_value(packed_from(num_missing()))));
    ck_assert(isnan(packed_value(packed_from((double)NAN))));
    struct dice d = {5};
    for (int i = 0; i < 10000; i++) {
        double x = dice_normal(&d) * pow(10, 200 * dice_uniform(&d) - 100);
        double y = packed_value(packed_from(x));
        ck_assert_double_le(fabs(x - y), 0x1p-37 * fabs(x));
        ck_assert(same_bits(packed_value(packed_from(y)), y));
    }
}
END_TEST

static void add_energy(struct ledger *l, double energy) {
    double row[COLUMN_COUNT];
    for (int c = 0; c < COLUMN_COUNT; c++) {
        row[c] = num_missing();
    }
    row[COLUMN_ENERGY] = energy;
    ledger_add(l, row);
}

// Nothing that tells whether the run is steady: the window stays short. Whatever was merged, the
// average is that of the steps that the ledger says it covers.
START_TEST(ledger_covers_the_newest_steps) {
    struct ledger l;
    double mean;
    ledger_clear(&l);
    ck_assert(!ledger_ratio(&l, COLUMN_ENERGY, COLUMN_NONE, &mean));
    for (int i = 1; i <= 3000; i++) {
        add_energy(&l, i);
        unsigned steps = ledger_steps(&l);
        ck_assert(steps == (unsigned)i || (i > 255 && steps >= 224 && steps <= 255));
        ck_assert(ledger_ratio(&l, COLUMN_ENERGY, COLUMN_NONE, &mean));
        NEAR(mean, i - (steps - 1) / 2.0, 1e-9);
        ck_assert(ledger_is_valid(&l));
        struct spread spread = ledger_spread(&l, COLUMN_ENERGY, COLUMN_NONE);
        unsigned expected = i < 2 ? 0 : (unsigned)i; // one step alone leaves nothing to compare
        ck_assert(i < 8 ? spread.groups == expected
                        : spread.groups >= 4 && spread.groups <= LEDGER_ROWS);
        ck_assert(i < 2 || spread.error > 0);
    }
}
END_TEST

// On white noise the jackknife's error is the textbook's sd / sqrt(n).
START_TEST(ledger_error_is_right_on_noise) {
    struct dice dice = {3};
    double ratio = 0;
    for (int repeat = 0; repeat < 400; repeat++) {
        struct ledger l;
        ledger_clear(&l);
        for (int i = 0; i < 288; i++) {
            add_energy(&l, dice_normal(&dice));
        }
        double error = ledger_spread(&l, COLUMN_ENERGY, COLUMN_NONE).error;
        ratio += error * error * ledger_steps(&l) / 400;
    }
    NEAR(ratio, 1, 0.1);
}
END_TEST

START_TEST(metric_names) {
    enum metric m;
    for (enum metric i = 0; i < METRIC_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", metric_is_temperature(i) ? "temperature." : "",
                 metric_name(i));
        ck_assert(metric_find(name, &m) && m == i);
    }
    ck_assert(!metric_find("kinetic", &m));
    ck_assert(!metric_find("temperature.entropy", &m));
    ck_assert(!metric_find("temperature.", &m));
    ck_assert(!metric_find("", &m));
    ck_assert_str_eq(quadrant_name(QUADRANT_QUASI_STATIC), "quasi-static");
    ck_assert_str_eq(quadrant_name(QUADRANT_CONDENSING), "condensing");
    ck_assert_str_eq(quadrant_name(QUADRANT_SPONTANEOUS), "spontaneous");
    ck_assert_str_eq(quadrant_name(QUADRANT_HEATING), "heating");
    ck_assert_str_eq(quadrant_name(QUADRANT_QUENCHING), "quenching");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_statistics");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, entropies);
    tcase_add_test(tc, entropy_of_histograms);
    tcase_add_test(tc, entropy_changes_do_not_cancel);
    tcase_add_test(tc, sampling_error_of_entropy);
    tcase_add_test(tc, welford_and_merge);
    tcase_add_test(tc, merged_is_batch);
    tcase_add_test(tc, slopes);
    tcase_add_test(tc, slopes_that_are_none);
    tcase_add_test(tc, slope_with_forgetting);
    tcase_add_test(tc, jackknife_of_blocks);
    tcase_add_test(tc, fieller_intervals);
    tcase_add_test(tc, student_quantiles);
    tcase_add_test(tc, weighted_averages);
    tcase_add_test(tc, compensated_sum);
    tcase_add_test(tc, doubles_in_six_bytes);
    tcase_add_test(tc, ledger_covers_the_newest_steps);
    tcase_add_test(tc, ledger_error_is_right_on_noise);
    tcase_add_test(tc, metric_names);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
