// Rotational equilibrium, spectral ranks, and when equilibrium is said to be reached.
#include "test_probes_feed.h"

#include "probes/instrument.h"

// |dw|/|w| = u_eq where the stationary state of random gradients is streamed: SGDM at eta .1,
// lam 5e-4, mu .9 has u = 0.007254763; AdamW at 1e-3, .1, .9 has 0.003244428.
START_TEST(update_ratio_at_rotational_equilibrium) {
    struct thermo_facts sgd = facts_sgd(0.9, 0.1), adamw = facts_adam(1e-3);
    sgd.weight_decay = 5e-4;
    adamw.optimizer = OPTIMIZER_ADAMW;
    adamw.weight_decay = 0.1;
    const struct thermo_facts facts[] = {sgd, adamw};
    const double u[] = {0.007254763, 0.003244428};
    for (int i = 0; i < 2; i++) {
        struct thermo *t = thermo_create(&facts[i], 1, one_layer);
        struct feed f;
        for (int k = 0; k < 40; k++) {
            feed_clear(&f, k);
            feed_weights(&f, 0, 0.04);
            feed_update(&f, 0, 0.04 * u[i] * u[i]);
            thermo_observe(t, &f.step);
        }
        expect_value(t, 0, METRIC_UPDATE_RATIO, u[i], 1e-9);
        expect_value(t, 0, METRIC_UPDATE_EQUILIBRIUM, 1, 1e-6);
        expect_value(t, THERMO_GLOBAL, METRIC_UPDATE_EQUILIBRIUM, 1, 1e-6);
        thermo_destroy(t);
    }
}
END_TEST

// AdamW on random gradients: |w| and u to the digits of the exact recursion.
START_TEST(adamw_on_random_gradients) {
    static const struct {
        double eta, lam, b1, rms, u;
    } rows[] = {{1e-3, .1, .9, 0.070678973, 0.003244505}, {3e-4, .1, .9, 0.038724621, 0.001777059}};
    double eta = rows[_i].eta, lam = rows[_i].lam, b = rows[_i].b1, a = 1 - eta * lam;
    double power = (1 - b) / (1 + b);
    double w2 = (eta * eta * power + 2 * eta * eta * a * b * power / (1 - b * a)) / (1 - a * a);
    ck_assert_double_eq_tol(sqrt(w2), rows[_i].rms, 1e-9);
    // dw = -eta m - eta lam w, <m w> = -eta P / (1 - b a) b ... as the recursion has it.
    double mw = -eta * b * power / (1 - b * a);
    double u2 = eta * eta * power + eta * eta * lam * lam * w2 + 2 * eta * eta * lam * mw;
    struct thermo_facts facts = facts_adam(eta);
    facts.optimizer = OPTIMIZER_ADAMW;
    facts.weight_decay = lam;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_clear(&f, k);
        feed_weights(&f, 0, w2);
        feed_update(&f, 0, u2);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_UPDATE_RATIO, rows[_i].u, 2e-9);
    expect_value(t, 0, METRIC_UPDATE_EQUILIBRIUM, rows[_i].u / sqrt(2 * eta * lam * power), 1e-6);
    thermo_destroy(t);
}
END_TEST

START_TEST(no_rotational_equilibrium) {
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    observe_healthy(t, 0, 10);
    expect_reason(t, 0, METRIC_UPDATE_EQUILIBRIUM, "needs a weight_decay above 0");
    thermo_destroy(t);
    facts.weight_decay = 0.1;
    facts.nesterov = true;
    t = thermo_create(&facts, 1, one_layer);
    observe_healthy(t, 0, 10);
    expect_reason(t, 0, METRIC_UPDATE_EQUILIBRIUM, "known for sgd without Nesterov and adamw only");
    thermo_destroy(t);
}
END_TEST

START_TEST(spectral_ranks) {
    double sizes[] = {10, 10, 10, 10, 10};
    struct thermo_facts facts = facts_sgd(0, 0.1);
    struct thermo *t = thermo_create(&facts, 5, sizes);
    struct feed f;
    const double alpha[] = {1, 4, 1.5, 6.5, 9};
    for (int k = 0; k < 3; k++) {
        feed_clear(&f, k);
        f.step.loss = 1;
        for (size_t i = 0; k == 1 && i < 5; i++) {
            feed_set(&f, STAT_W_ALPHA, i, alpha[i]);
        }
        thermo_observe(t, &f.step);
    }
    expect_value(t, 1, METRIC_SPECTRAL, 1, 1e-6);
    expect_value(t, 2, METRIC_SPECTRAL, 0.5, 1e-6);
    expect_value(t, 3, METRIC_SPECTRAL, 1.5, 1e-6);
    expect_reason(t, 0, METRIC_SPECTRAL, "the first and the last layer are not ranked");
    expect_reason(t, 4, METRIC_SPECTRAL, "the first and the last layer are not ranked");
    ck_assert(feed_read(t, 1, METRIC_SPECTRAL).note == NULL);
    ck_assert(strncmp(feed_read(t, 2, METRIC_SPECTRAL).note, "alpha below 2", 13) == 0);
    ck_assert(strncmp(feed_read(t, 3, METRIC_SPECTRAL).note, "alpha above 6", 13) == 0);
    thermo_destroy(t);
}
END_TEST

START_TEST(equilibrium_wants_a_narrow_interval) {
    struct reading r = {.value = 1.1, .low = 0.9, .high = 1.3, .has_interval = true};
    ck_assert(equilibrium_is_reached(&r));
    r.low = 1.01;
    ck_assert(!equilibrium_is_reached(&r)); // 1 is not inside
    r.low = 0.65;
    ck_assert(!equilibrium_is_reached(&r)); // too wide to tell
    r.has_interval = false;
    ck_assert(!equilibrium_is_reached(&r));
    r = (struct reading){.reason = "needs gw"};
    ck_assert(!equilibrium_is_reached(&r));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_equilibrium");
    TCase *tc = tcase_create("equilibrium");
    tcase_add_test(tc, update_ratio_at_rotational_equilibrium);
    tcase_add_loop_test(tc, adamw_on_random_gradients, 0, 2);
    tcase_add_test(tc, no_rotational_equilibrium);
    tcase_add_test(tc, spectral_ranks);
    tcase_add_test(tc, equilibrium_wants_a_narrow_interval);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
