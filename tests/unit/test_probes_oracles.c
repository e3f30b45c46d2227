// The table of closed forms in docs/theory.md ("Held to closed forms"): where each row is tested,
// and here those that no other file has. Digits are those of the table.
//
// - entropy of normal, uniform, mixture, blocks: probes_statistics, entropies and
//   entropy_of_histograms; reference, entropies
// - entropy, changes and sampling error: probes_statistics
// - transition of linear models: reference, mean_square, absolute, quanta; probes_thermometers,
//   transition_chords
// - cross-entropy of one weight: reference, cross_entropy; its two series: here
// - gradient flow, Boltzmann chords: probes_thermometers
// - SGD and heavy ball on a quadratic: probes_thermometers, stationary_quadratics and
//   temperatures_tell_stability; momentum buffers, two modes in one layer: here
// - coherence against curvature, anchors: probes_thermometers
// - Langevin steps: here; by simulation: tests/calibrate
// - drift of four weights: probes_thermometers
// - rotational equilibrium, exact: probes_equilibrium; to leading order: here
// - radius of a scale-invariant layer: here
// - noise scale of two batches, momentum split: probes_instruments
// - heat capacity of four oscillators: probes_instruments, heat_capacity_by_fluctuation
// - moments, merges, slopes, jackknife, Fieller, weighted averages: probes_statistics; slope of 12
//   points: here
// - change points: bocpd
// - activations: activation, engine
#include "test_probes_feed.h"

#include "probes/reference.h"
#include "probes/slope.h"

#define NEAR(x, y, tolerance) ck_assert_double_eq_tol((x), (y), (tolerance))

// The moments of one layer, streamed unchanged.
static struct thermo *stationary(const struct thermo_facts *facts, double n, double w2, double g2,
                                 double u2, double gw) {
    struct thermo *t = thermo_create(facts, 1, &n);
    struct feed f;
    for (int k = 0; k < 300; k++) {
        feed_clear(&f, k);
        feed_weights(&f, 0, w2);
        feed_gradient(&f, 0, g2);
        feed_update(&f, 0, u2);
        feed_set(&f, STAT_GW, 0, n * gw);
        thermo_observe(t, &f.step);
    }
    return t;
}

// Exact stationary moments on h w^2 / 2 with gradient noise s2.
struct moments_of {
    double w2, g2, buf2;
};

static struct moments_of quadratic(double eta, double h, double s2, double mu) {
    double w2 = eta * s2 * (1 + mu) / (h * (1 - mu) * (2 * (1 + mu) - eta * h));
    return (struct moments_of){w2, h * h * w2 + s2, 2 * h * w2 / ((1 + mu) * eta)};
}

START_TEST(momentum_buffers) {
    static const double rows[][5] = {// eta, h, s2, mu, <buf^2>
                                     {.1, 1, 1, 0, 1.052631579},
                                     {.1, 1, 1, .9, 5.405405405},
                                     {.01, 2, 4, 0, 4.040404040},
                                     {.01, 2, 4, .9, 21.164021164},
                                     {.5, 3, .25, .5, 0.666666667}};
    const double *r = rows[_i], eta = r[0];
    struct moments_of m = quadratic(eta, r[1], r[2], r[3]);
    struct thermo_facts facts = facts_sgd(r[3], eta);
    struct thermo *t = stationary(&facts, 10, m.w2, m.g2, eta * eta * m.buf2, r[1] * m.w2);
    NEAR(2 * thermo_value(t, 0, METRIC_VELOCITY) / (eta * eta), r[4], 1e-8);
    NEAR(2 / (1 + r[3]) * thermo_value(t, 0, METRIC_KINETIC), eta * r[4], 1e-8); // raw <dw^2>/eta
    thermo_destroy(t);
}
END_TEST

// Two coordinates of different curvature in one layer: the sums of their squares are all it sends.
START_TEST(two_modes_in_one_layer) {
    double eta = .1, mu = .9;
    struct moments_of slow = quadratic(eta, 1, 1, mu), fast = quadratic(eta, 10, 1, mu);
    double g2 = slow.g2 + fast.g2, buf2 = slow.buf2 + fast.buf2;
    NEAR(g2, 9.299227799, 1e-9);
    NEAR(buf2, 12.548262548, 1e-9);
    struct thermo_facts facts = facts_sgd(mu, eta);
    struct thermo *t = stationary(&facts, 2, (slow.w2 + fast.w2) / 2, 9.299227799 / 2,
                                  eta * eta * 12.548262548 / 2, (slow.w2 + 10 * fast.w2) / 2);
    expect_value(t, 0, METRIC_STABILITY, 0.612307692 / 3.8, 1e-9);
    expect_value(t, 0, METRIC_EQUILIBRIUM, 1, 1e-9);
    thermo_destroy(t);
}
END_TEST

// Langevin steps of T = 0.3, whose noise no gradient carries: both temperatures read T and the
// step's own error, T / (1 - eta h / 2).
START_TEST(langevin) {
    double heat = .3, eta = .1, h = 2, w2 = 0.166666666667;
    struct thermo_facts facts = facts_sgd(0, eta);
    struct thermo *t =
        stationary(&facts, 100, w2, h * h * w2, eta * eta * h * h * w2 + 2 * heat * eta, h * w2);
    expect_value(t, 0, METRIC_CONFIGURATIONAL, heat / (1 - eta * h / 2), 1e-9);
    expect_value(t, 0, METRIC_KINETIC, heat / (1 - eta * h / 2), 1e-9);
    expect_value(t, 0, METRIC_EQUILIBRIUM, 1, 1e-9);
    thermo_destroy(t);
}
END_TEST

START_TEST(rotational_equilibrium_to_leading_order) {
    static const double rows[][3] = {// eta, rms w, update ratio; weight decay .1, beta1 .9
                                     {1e-3, 0.070710678, 0.003244428},
                                     {3e-4, 0.038729833, 0.001777047}};
    double eta = rows[_i][0], rms = sqrt(eta / (2 * .1)), u = rows[_i][2];
    struct thermo_facts facts = facts_adam(eta);
    facts.optimizer = OPTIMIZER_ADAMW;
    facts.weight_decay = .1;
    NEAR(rms, rows[_i][1], 1e-9);
    struct thermo *t = stationary(&facts, 100, rms * rms, 1, rms * rms * u * u, 0);
    expect_value(t, 0, METRIC_UPDATE_RATIO, u, 1e-9);
    expect_value(t, 0, METRIC_UPDATE_EQUILIBRIUM, 1, 1e-6);
    thermo_destroy(t);
}
END_TEST

// SGD on a scale-invariant layer: isotropic noise across the weights, g ~ sigma / r in d - 1
// directions, drives outward what weight decay pulls in. They balance at r = 8.406861.
START_TEST(radius_of_a_scale_invariant_layer) {
    double eta = .01, sigma = 1, d = 1000, lam = 1e-3, r = 8.406861122698;
    NEAR(pow(eta * sigma * sigma * (d - 1) / (2 * lam), 0.25), r, 1e-11);
    double g2 = sigma * sigma * (d - 1) / (r * r);
    struct thermo_facts facts = facts_sgd(0, eta);
    facts.weight_decay = lam;
    struct thermo *t =
        stationary(&facts, d, r * r / d, g2 / d, eta * eta * g2 / d, lam * r * r / d);
    expect_value(t, 0, METRIC_UPDATE_EQUILIBRIUM, 1, 1e-9);
    expect_value(t, 0, METRIC_DRIFT, 0, 1e-12);
    thermo_destroy(t);
}
END_TEST

static double softplus_mean(double deviation) {
    static const double one = 1, none = 0;
    struct reference_problem p = {
        .loss = REFERENCE_CROSS_ENTROPY,
        .init = {.count = 1, .parts = {{REFERENCE_NORMAL, 1, 0, deviation}}},
        .data = {&one, &none, 1, 1}};
    return reference_initial_energy(&p);
}

// The mean loss of a logistic model at its initialisation lies where its series for small and for
// large logits say, as near as the terms left out.
START_TEST(series_of_cross_entropy) {
    double s = .1, small = M_LN2 + s * s / 8 - pow(s, 4) / 64;
    NEAR(small, 0.694395618060, 1e-12);
    NEAR(softplus_mean(s), small, pow(s, 6) / 100);
    s = 5;
    double root = sqrt(2 * M_PI), large = s / root + M_PI * M_PI / (6 * s * root);
    NEAR(large, 2.125958151555, 1e-12);
    NEAR(softplus_mean(s), large, pow(s, -3));
}
END_TEST

// Motion that comes in one burst: the interval is wide, but a mean square is never below zero.
START_TEST(squares_are_not_negative) {
    static const enum metric squares[] = {METRIC_KINETIC, METRIC_VELOCITY};
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 64; k++) {
        feed_healthy(&f, k);
        feed_update(&f, 0, k / 8 == 2 ? 1 : 1e-6);
        thermo_observe(t, &f.step);
    }
    for (int i = 0; i < 2; i++) {
        struct reading r = feed_read(t, 0, squares[i]);
        ck_assert(r.reason == NULL && r.has_interval);
        ck_assert_double_eq(r.low, 0);
        ck_assert_double_gt(r.high, r.value);
    }
    thermo_destroy(t);
}
END_TEST

START_TEST(slope_of_twelve_points) {
    static const double s[] = {10, 9.8, 9.7, 9.3, 9.1, 9.0, 8.6, 8.5, 8.1, 7.9, 7.8, 7.4};
    static const double e[] = {2.31, 2.22, 2.15, 2.02, 1.88, 1.86,
                               1.70, 1.58, 1.47, 1.38, 1.26, 1.15};
    double slope, intercept;
    ck_assert(slope_least_squares(s, e, 12, &slope, &intercept));
    NEAR(slope, 0.451790175, 1e-9);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_oracles");
    TCase *tc = tcase_create("oracles");
    tcase_add_loop_test(tc, momentum_buffers, 0, 5);
    tcase_add_test(tc, two_modes_in_one_layer);
    tcase_add_test(tc, langevin);
    tcase_add_loop_test(tc, rotational_equilibrium_to_leading_order, 0, 2);
    tcase_add_test(tc, radius_of_a_scale_invariant_layer);
    tcase_add_test(tc, series_of_cross_entropy);
    tcase_add_test(tc, squares_are_not_negative);
    tcase_add_test(tc, slope_of_twelve_points);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
