// Histograms of outputs: values computed by hand, the properties of distances, standard errors
// against repeated draws, and histograms that are none.
#include "probes/distribution.h"
#include "base/num.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define NOT_A_NUMBER ((double)NAN)
#define NEAR(x, y, tolerance) ck_assert_double_eq_tol((x), (y), (tolerance))

typedef struct distribution_figure (*distance)(const double *a, const double *b, size_t bins);
static const distance distances[] = {distribution_total_variation, distribution_divergence,
                                     distribution_distance};

START_TEST(entropy_by_hand) {
    // Shares 1/2, 1/4, 1/4: H = 3/2 ln 2; -ln p is ln 2 or 2 ln 2, of variance (ln 2)^2 / 4.
    static const double counts[] = {8, 0, 4, 4};
    struct distribution_figure f = distribution_entropy(counts, 4);
    NEAR(f.value, 1.5 * M_LN2, 1e-15);
    NEAR(f.error, sqrt((M_LN2 * M_LN2 / 4 + 2.0 / 32) / 16), 1e-15);
    ck_assert(f.reason == NULL);
    NEAR(distribution_entropy_corrected(counts, 4).value, 1.5 * M_LN2 + 2.0 / 32, 1e-15);
    // Widths 1, -, 0.5, 2: sum p ln(w) = 1/4 (ln 0.5 + ln 2) = 0.
    static const double widths[] = {1, 7, 0.5, 2};
    NEAR(distribution_differential(counts, widths, 4).value, 1.5 * M_LN2, 1e-15);
    double even[64], narrow[64];
    for (int i = 0; i < 64; i++) {
        even[i] = 3;
        narrow[i] = 0.01;
    }
    NEAR(distribution_entropy(even, 64).value, log(64), 1e-14);
    NEAR(distribution_differential(even, narrow, 64).value, -0.446287102628, 1e-12);
    // A flat histogram's error is all of second order.
    NEAR(distribution_entropy(even, 64).error, sqrt(63 / 2.0) / 192, 1e-15);
}
END_TEST

START_TEST(one_bin) {
    static const double count = 5, width = 0.25;
    struct distribution_figure f = distribution_entropy(&count, 1);
    ck_assert(f.value == 0 && f.error == 0 && f.reason == NULL);
    ck_assert_double_eq(distribution_entropy_corrected(&count, 1).value, 0);
    NEAR(distribution_differential(&count, &width, 1).value, log(0.25), 1e-15);
    for (int k = 0; k < 3; k++) {
        f = distances[k](&count, &width, 1);
        ck_assert(f.value == 0 && f.error == 0 && f.floor == 0 && f.reason == NULL);
    }
}
END_TEST

START_TEST(distances_by_hand) {
    static const double a[] = {1, 1, 0, 2}, b[] = {1, 0, 2, 1};
    NEAR(distribution_total_variation(a, b, 4).value, 0.5, 1e-15);
    // p = (1/4, 1/4, 0, 1/2), q = (1/4, 0, 1/2, 1/4), m = (1/4, 1/8, 1/4, 3/8)
    double expected = (0.25 * M_LN2 + 0.5 * log(4.0 / 3) + 0.5 * M_LN2 + 0.25 * log(2.0 / 3)) / 2;
    NEAR(distribution_divergence(a, b, 4).value, expected, 1e-15);
    NEAR(distribution_distance(a, b, 4).value, sqrt(expected), 1e-15);
    // The sign of p - q under p is (0, 1, 0, 1) with mean 3/4; under q (0, 0, -1, 1)...
    double under_p = (0.75 - 0.75 * 0.75) / 4, under_q = (0.75 - 0.25 * 0.25) / 4;
    NEAR(distribution_total_variation(a, b, 4).error, sqrt(under_p / 4 + under_q / 4), 1e-15);
}
END_TEST

START_TEST(bounds) {
    static const double a[] = {3, 9, 0, 0}, b[] = {0, 0, 5, 1e6}, scaled[] = {6, 18, 0, 0};
    NEAR(distribution_total_variation(a, b, 4).value, 1, 1e-15);
    NEAR(distribution_divergence(a, b, 4).value, M_LN2, 1e-15);
    NEAR(distribution_distance(a, b, 4).value, sqrt(M_LN2), 1e-15);
    for (int k = 0; k < 3; k++) {
        ck_assert_double_eq(distances[k](a, a, 4).value, 0);
        ck_assert_double_eq(distances[k](a, scaled, 4).value, 0); // only the shares matter
        NEAR(distances[k](a, b, 4).error, 0, 1e-15);
    }
    // Shares that differ in the ninth digit: logarithms alone would give noise or less than 0.
    double near[] = {3, 9.00000001, 0, 0};
    double x = 3 / 12.0 - 3 / 12.00000001;
    NEAR(distribution_divergence(a, near, 4).value / (x * x / 8 * (4 + 4 / 3.0)), 1, 1e-6);
}
END_TEST

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

enum { BINS = 6 };

static void draw(double counts[BINS], const double shares[BINS], int n, uint64_t *dice) {
    for (int i = 0; i < BINS; i++) {
        counts[i] = 0;
    }
    for (int k = 0; k < n; k++) {
        double u = uniform(dice);
        int i = 0;
        while (i < BINS - 1 && (u -= shares[i]) > 0) {
            i++;
        }
        counts[i]++;
    }
}

START_TEST(properties) {
    static const double shares[] = {0.3, 0.25, 0.2, 0.15, 0.06, 0.04};
    uint64_t dice = 3;
    for (int i = 0; i < 500; i++) {
        double a[BINS], b[BINS], c[BINS];
        draw(a, shares, 1 + i % 40, &dice);
        draw(b, shares, 30, &dice);
        draw(c, shares, 7, &dice);
        for (int k = 0; k < 3; k++) {
            double ab = distances[k](a, b, BINS).value;
            double most = k == 0 ? 1 : k == 1 ? M_LN2 : sqrt(M_LN2);
            NEAR(ab, distances[k](b, a, BINS).value, 1e-15);
            ck_assert(ab >= 0 && ab <= most);
            if (k != 1) { // the divergence is no metric
                ck_assert(ab <=
                          distances[k](a, c, BINS).value + distances[k](c, b, BINS).value + 1e-15);
            }
        }
        double tv = distribution_total_variation(a, b, BINS).value;
        double js = distribution_divergence(a, b, BINS).value;
        ck_assert(js <= M_LN2 * tv + 1e-15 && js >= tv * tv / 2 - 1e-15);
        struct distribution_figure h = distribution_entropy(a, BINS);
        ck_assert(h.value >= 0 && h.value <= log(BINS) + 1e-15);
        ck_assert(distribution_entropy_corrected(a, BINS).value >= h.value);
    }
}
END_TEST

// Means and standard deviations over repeated draws of `f` of a histogram or a pair.
struct repeated {
    double mean, deviation, error, floor;
};

static struct repeated repeat(const double *p, const double *q, int which) {
    struct repeated r = {0};
    uint64_t dice = 17;
    enum { TIMES = 4000 };
    double square = 0;
    for (int i = 0; i < TIMES; i++) {
        double a[BINS], b[BINS];
        draw(a, p, 400, &dice);
        draw(b, q, 300, &dice);
        struct distribution_figure f =
            which < 3 ? distances[which](a, b, BINS) : distribution_entropy(a, BINS);
        r.mean += f.value / TIMES;
        square += f.value * f.value / TIMES;
        r.error += f.error / TIMES;
        r.floor += f.floor / TIMES;
    }
    r.deviation = sqrt(square - r.mean * r.mean);
    return r;
}

START_TEST(errors_are_those_of_repeated_draws) {
    static const double p[] = {0.3, 0.25, 0.2, 0.15, 0.06, 0.04};
    static const double q[] = {0.05, 0.1, 0.15, 0.2, 0.2, 0.3};
    for (int which = 0; which < 4; which++) {
        struct repeated r = repeat(p, q, which);
        ck_assert_msg(fabs(r.error / r.deviation - 1) < 0.1, "%d: %g, not %g", which, r.error,
                      r.deviation);
    }
    // The same distribution twice shows its floor, within the floor's own crudeness.
    for (int which = 0; which < 2; which++) {
        struct repeated r = repeat(p, p, which);
        ck_assert_msg(fabs(r.floor / r.mean - 1) < 0.05, "%d: %g, not %g", which, r.floor, r.mean);
    }
    // Miller and Madow's correction takes away the bias of the plain entropy.
    double exact = 0;
    for (int i = 0; i < BINS; i++) {
        exact -= p[i] * log(p[i]);
    }
    NEAR(repeat(p, p, 3).mean + (BINS - 1) / 800.0, exact, 0.001);
}
END_TEST

static void expect_none(struct distribution_figure f) {
    ck_assert(f.reason != NULL && num_is_missing(f.value) && f.error == 0 && f.floor == 0);
}

START_TEST(none) {
    static const double good[] = {1, 2, 3}, widths[] = {1, 1, 1};
    static const double bad[][3] = {
        {0, 0, 0}, {1, -1, 3}, {1, NOT_A_NUMBER, 2}, {1, HUGE_VAL, 2}, {1.7e308, 1.7e308, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect_none(distribution_entropy(bad[i], 3));
        expect_none(distribution_entropy_corrected(bad[i], 3));
        expect_none(distribution_differential(bad[i], widths, 3));
        for (int k = 0; k < 3; k++) {
            expect_none(distances[k](bad[i], good, 3));
            expect_none(distances[k](good, bad[i], 3));
        }
    }
    expect_none(distribution_entropy(good, 0));
    expect_none(distribution_distance(good, good, 0));
    static const double bad_widths[][3] = {
        {1, 0, 1}, {1, -1, 1}, {NOT_A_NUMBER, 1, 1}, {1, 1, HUGE_VAL}};
    for (size_t i = 0; i < sizeof bad_widths / sizeof *bad_widths; i++) {
        expect_none(distribution_differential(good, bad_widths[i], 3));
    }
    ck_assert_str_eq(distribution_entropy(bad[0], 3).reason, "no counts");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("distribution");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, entropy_by_hand);
    tcase_add_test(tc, one_bin);
    tcase_add_test(tc, distances_by_hand);
    tcase_add_test(tc, bounds);
    tcase_add_test(tc, properties);
    tcase_add_test(tc, errors_are_those_of_repeated_draws);
    tcase_add_test(tc, none);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
