// Input that is missing, not finite, constant, zero, repeated or skipped: every reading has a value
// to be trusted or says why it has none.
#include "test_probes_feed.h"

START_TEST(before_the_first_step) {
    struct thermo *t = create_sgd(0.9);
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        expect_reason(t, 0, m, "no step yet");
        expect_reason(t, THERMO_GLOBAL, m, "no step yet");
    }
    ck_assert_int_eq(thermo_step_seen(t), -1);
    ck_assert_uint_eq(thermo_layers(t), 1);
    ck_assert_uint_eq(thermo_state(t), 0);
    thermo_destroy(t);
    thermo_destroy(NULL);
}
END_TEST

START_TEST(what_only_the_whole_run_has) {
    struct thermo *t = create_sgd(0.9);
    observe_healthy(t, 0, 30);
    expect_reason(t, 0, METRIC_HEAT_CAPACITY, "measured for the whole run");
    expect_reason(t, 0, METRIC_RETENTION, "measured for the whole run");
    expect_reason(t, 0, METRIC_FIRST_LAW, "measured for the whole run");
    expect_reason(t, THERMO_GLOBAL, METRIC_SPECTRAL, "measured layer by layer");
    expect_reason(t, THERMO_GLOBAL, METRIC_EFFICIENCY, "measured layer by layer");
    ck_assert_int_eq(thermo_step_seen(t), 29);
    thermo_destroy(t);
}
END_TEST

// Leave one key out of a healthy stream: the reading that wants it says so, by name.
START_TEST(missing_keys_are_named) {
    static const struct {
        double momentum;
        enum statistic left_out;
        enum metric metric;
        const char *reason;
    } rows[] = {
        {.9, STAT_U_VAR, METRIC_KINETIC, "needs u_var"},
        {.9, STAT_U_MEAN, METRIC_VELOCITY, "needs u_mean"},
        {.9, STAT_GW, METRIC_CONFIGURATIONAL, "needs gw"},
        {0, STAT_G_MEAN, METRIC_COHERENCE, "needs g_mean"},
        {.9, STAT_W_VAR, METRIC_ENTROPY, "needs w_var"},
        {.9, STAT_W_VAR, METRIC_TRANSITION, "needs w_var"},
        {.9, STAT_W_VAR, METRIC_DIFFERENTIAL, "needs w_var"},
        {.9, STAT_W_VAR, METRIC_DRIFT, "needs w_var"},
        {.9, STAT_W_MEAN, METRIC_UPDATE_RATIO, "needs w_mean"},
        {.9, STAT_G_VAR, METRIC_STABILITY, "needs g_var"},
        {.9, STAT_U_VAR, METRIC_COHERENCE, "needs u_var"},
        {0, STAT_GU_PREV, METRIC_STABILITY, "needs gu_prev"},
        {.9, STAT_GU, METRIC_HEAT, "needs gu"},
        {.9, STAT_A_VAR, METRIC_EFFICIENCY, "needs a_var"},
        {.9, STAT_Z_VAR, METRIC_EFFICIENCY, "needs z_var"},
    };
    struct thermo *t = create_sgd(rows[_i].momentum);
    struct feed f;
    for (int k = 0; k < 60; k++) {
        feed_healthy(&f, k);
        f.step.stat[rows[_i].left_out] = NULL;
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, rows[_i].metric, rows[_i].reason);
    // One entry is enough for the reason to go, and the same as an array of nothing.
    observe_healthy(t, 60, 180);
    ck_assert(feed_read(t, 0, rows[_i].metric).reason == NULL);
    thermo_destroy(t);
}
END_TEST

START_TEST(unknown_optimizers_are_not_guessed) {
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    facts.optimizer = OPTIMIZER_OTHER;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    observe_healthy(t, 0, 30);
    expect_reason(t, 0, METRIC_STABILITY, "needs an optimizer named sgd, adam or adamw");
    expect_reason(t, 0, METRIC_COHERENCE, "needs an optimizer named sgd, adam or adamw");
    ck_assert(feed_read(t, 0, METRIC_KINETIC).reason == NULL);
    thermo_destroy(t);
    facts = facts_sgd(1, 0.1);
    t = thermo_create(&facts, 1, one_layer);
    observe_healthy(t, 0, 30);
    expect_reason(t, 0, METRIC_COHERENCE, "needs a momentum or beta1 between 0 and 1");
    expect_reason(t, 0, METRIC_NOISE, "needs a momentum between 0 and 1");
    thermo_destroy(t);
}
END_TEST

START_TEST(plain_sgd_tells_its_work) {
    struct thermo *t = create_sgd(0);
    struct feed f;
    for (int k = 0; k < 10; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, 2);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_HEAT, 10 * 0.1 * 2 * N, 1e-9);
    thermo_destroy(t);
}
END_TEST

START_TEST(learning_rate_missing_or_zero) {
    struct thermo_facts facts = facts_sgd(0.9, num_missing());
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_healthy(&f, k);
        f.step.lr = k < 20 ? num_missing() : 0;
        thermo_observe(t, &f.step);
        const char *reason = k < 20 ? "needs lr" : "needs an lr above 0";
        expect_reason(t, 0, METRIC_KINETIC, reason);
        expect_reason(t, THERMO_GLOBAL, METRIC_NOISE, reason);
        ck_assert(feed_read(t, 0, METRIC_VELOCITY).reason == NULL);
    }
    feed_healthy(&f, 40);
    f.step.lr = ((double)NAN);
    thermo_observe(t, &f.step);
    expect_reason(t, 0, METRIC_KINETIC, "needs an lr above 0");
    observe_healthy(t, 41, 42);
    ck_assert(feed_read(t, 0, METRIC_KINETIC).reason == NULL);
    thermo_destroy(t);
}
END_TEST

static void feed_frozen(struct feed *f, int64_t step) {
    feed_healthy(f, step);
    feed_gradient(f, 0, 0);
    feed_update(f, 0, 0);
    feed_set(f, STAT_GW, 0, 0);
    feed_set(f, STAT_GU, 0, 0);
    feed_set(f, STAT_GU_PREV, 0, 0);
}

START_TEST(frozen_layers) {
    const char *frozen = "frozen: no gradient and no update for 20 steps";
    double momenta[] = {0, 0.9};
    struct thermo *t = create_sgd(momenta[_i]);
    struct feed f;
    observe_healthy(t, 0, 50);
    for (int k = 50; k < 70; k++) {
        ck_assert(feed_read(t, 0, METRIC_STABILITY).reason == NULL);
        feed_frozen(&f, k);
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_STABILITY, frozen);
    expect_reason(t, 0, METRIC_COHERENCE, frozen);
    expect_reason(t, 0, METRIC_CONFIGURATIONAL, frozen);
    expect_reason(t, 0, METRIC_DRIFT, frozen);
    expect_reason(t, 0, METRIC_EQUILIBRIUM, frozen);
    expect_value(t, 0, METRIC_KINETIC, 0, 0);
    expect_value(t, THERMO_GLOBAL, METRIC_KINETIC, 0, 0);
    observe_healthy(t, 70, 71);
    ck_assert(feed_read(t, 0, METRIC_STABILITY).reason == NULL);
    thermo_destroy(t);
}
END_TEST

// No gradient comes any more, but weight decay goes on moving the weights: nothing is frozen, yet
// how the optimizer filters gradients can no longer be seen.
START_TEST(dead_layers) {
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    observe_healthy(t, 0, 50);
    double alive = thermo_value(t, 0, METRIC_STABILITY);
    for (int k = 50; k < 70; k++) {
        expect_value(t, 0, METRIC_STABILITY, alive, 0);
        feed_healthy(&f, k);
        feed_gradient(&f, 0, 0);
        feed_update(&f, 0, 1e-12);
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_STABILITY, "dead: no gradient for 20 steps");
    expect_reason(t, 0, METRIC_COHERENCE, "dead: no gradient for 20 steps");
    ck_assert_double_gt(thermo_value(t, 0, METRIC_KINETIC), 0);
    observe_healthy(t, 70, 71);
    ck_assert(feed_read(t, 0, METRIC_STABILITY).reason == NULL);
    thermo_destroy(t);
}
END_TEST

START_TEST(frozen_from_the_start) {
    static const double sizes[] = {N, N};
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_healthy(&f, k);
        feed_weights(&f, 1, 0.5);
        feed_gradient(&f, 1, 0);
        feed_update(&f, 1, 0);
        thermo_observe(t, &f.step);
    }
    double moving = thermo_value(t, 0, METRIC_ENTROPY);
    expect_value(t, THERMO_GLOBAL, METRIC_ENTROPY, moving, 0);
    expect_value(t, 1, METRIC_ENTROPY, 1000 * 1.418938533205 + 500 * log(0.5), 1e-8);
    ck_assert(feed_read(t, THERMO_GLOBAL, METRIC_STABILITY).reason == NULL);
    thermo_destroy(t);
}
END_TEST

// With lr 0 nothing moves and nothing is wrong.
START_TEST(no_learning_rate_is_not_frozen) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 60; k++) {
        feed_healthy(&f, k);
        feed_update(&f, 0, 0);
        f.step.lr = 0;
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_STABILITY, "needs an lr above 0");
    expect_value(t, 0, METRIC_CONFIGURATIONAL, 0.5, 1e-3);
    thermo_destroy(t);
}
END_TEST

START_TEST(collapsed_layers) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    observe_healthy(t, 0, 5);
    for (int k = 5; k < 300; k++) {
        feed_healthy(&f, k);
        feed_set(&f, STAT_W_VAR, 0, k % 2 ? 0 : -1);
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_ENTROPY, "collapsed: w_var is not positive");
    expect_reason(t, 0, METRIC_TRANSITION, "collapsed: w_var is not positive");
    expect_reason(t, 0, METRIC_DIFFERENTIAL, "collapsed: w_var is not positive");
    expect_reason(t, 0, METRIC_QUADRANT, "collapsed: w_var is not positive");
    expect_reason(t, THERMO_GLOBAL, METRIC_ENTROPY, "collapsed: w_var is not positive");
    thermo_destroy(t);
}
END_TEST

START_TEST(tiny_layers_have_no_entropy) {
    static const double sizes[] = {7, N};
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_healthy(&f, k);
        feed_weights(&f, 1, 0.5 * exp(k * 1e-4));
        thermo_observe(t, &f.step);
    }
    const enum metric all[] = {METRIC_ENTROPY, METRIC_TRANSITION, METRIC_DIFFERENTIAL,
                               METRIC_QUADRANT};
    for (int i = 0; i < 4; i++) {
        expect_reason(t, 0, all[i], "needs at least 8 parameters");
    }
    expect_value(t, THERMO_GLOBAL, METRIC_ENTROPY, thermo_value(t, 1, METRIC_ENTROPY), 0);
    thermo_destroy(t);
}
END_TEST

START_TEST(unresolved_entropy) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_healthy(&f, k);
        f.step.loss = 1 - k * 1e-3;
        feed_set(&f, STAT_W_VAR, 0, 0.01 * (1 + k * 1e-8)); // dS = 2e-4 nats, 1e-3 are wanted
        thermo_observe(t, &f.step);
    }
    const char *reason = "indeterminate: entropy moved less than it can be resolved";
    expect_reason(t, THERMO_GLOBAL, METRIC_TRANSITION, reason);
    expect_reason(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL, reason);
    expect_reason(t, 0, METRIC_TRANSITION, reason);
    expect_value(t, THERMO_GLOBAL, METRIC_QUADRANT, QUADRANT_QUASI_STATIC, 0);
    thermo_destroy(t);
}
END_TEST

// Whatever is not finite leaves every estimator of the layer and of the run as it was.
START_TEST(non_finite_steps_are_not_used) {
    static const enum statistic keys[] = {STAT_W_MEAN, STAT_G_VAR,   STAT_U_VAR, STAT_GW,
                                          STAT_GU,     STAT_GU_PREV, STAT_A_VAR, STAT_G_NOISE};
    static const double bad[] = {((double)NAN), ((double)INFINITY), -((double)INFINITY), 1e200};
    static const double sizes[] = {N, N};
    enum statistic key = keys[_i % 8];
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    struct thermo *a = thermo_create(&facts, 2, sizes), *b = thermo_create(&facts, 2, sizes);
    struct feed f;
    for (int k = 0; k < 60; k++) {
        feed_healthy(&f, k);
        feed_weights(&f, 1, 0.01);
        feed_update(&f, 1, 1e-4 + k * 1e-6);
        thermo_observe(a, &f.step);
        thermo_observe(b, &f.step);
    }
    feed_healthy(&f, 60);
    feed_weights(&f, 1, 0.01);
    feed_update(&f, 1, 1e-4);
    feed_set(&f, key, 0, bad[_i / 8]);
    thermo_observe(a, &f.step);
    bool weights = key == STAT_W_MEAN; // then it is over at once
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        if (weights) {
            expect_reason(a, 0, m, "diverged: the statistics are not finite");
            continue;
        }
        ck_assert(same_bits(thermo_value(a, 0, m), thermo_value(b, 0, m)));
        ck_assert(same_bits(thermo_value(a, THERMO_GLOBAL, m), thermo_value(b, THERMO_GLOBAL, m)));
    }
    ck_assert(!same_bits(thermo_value(a, 1, METRIC_VELOCITY), thermo_value(b, 1, METRIC_VELOCITY)));
    thermo_destroy(a);
    thermo_destroy(b);
}
END_TEST

// A random walk, D = 1, with a step in it that cannot be used: no difference is taken across it.
START_TEST(drift_across_a_bad_step) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 60; k++) {
        feed_clear(&f, k);
        feed_weights(&f, 0, 1 + 0.01 * k);
        feed_update(&f, 0, 0.01);
        feed_set(&f, STAT_GU, 0, k == 30 ? ((double)NAN) : -1);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_DRIFT, 1, 1e-9);
    expect_value(t, 0, METRIC_HEAT, 59, 1e-9);
    thermo_destroy(t);
}
END_TEST

START_TEST(drift_below_rounding) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 30; k++) {
        feed_clear(&f, k);
        feed_weights(&f, 0, 1 + 1e-15 * (k % 3));
        feed_gradient(&f, 0, 1);
        feed_update(&f, 0, 1e-20);
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_DRIFT,
                  "indeterminate: the updates are too small beside the weights");
    thermo_destroy(t);
}
END_TEST

START_TEST(non_finite_loss) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    observe_healthy(t, 0, 40);
    double before = thermo_value(t, THERMO_GLOBAL, METRIC_ENERGY);
    for (int k = 40; k < 43; k++) {
        expect_value(t, THERMO_GLOBAL, METRIC_ENERGY, before, 0);
        feed_healthy(&f, k);
        f.step.loss = k % 2 ? ((double)NAN) : ((double)INFINITY);
        thermo_observe(t, &f.step);
    }
    expect_reason(t, THERMO_GLOBAL, METRIC_ENERGY, "diverged: the statistics are not finite");
    ck_assert(feed_read(t, 0, METRIC_KINETIC).reason == NULL); // the layer's own are in order
    observe_healthy(t, 43, 44);
    ck_assert(feed_read(t, THERMO_GLOBAL, METRIC_ENERGY).reason == NULL);
    thermo_destroy(t);
}
END_TEST

// A step that repeats or goes back without a word begins a segment: no difference is taken across
// it.
START_TEST(repeated_steps) {
    struct thermo *t = create_sgd(0.9), *fresh = create_sgd(0.9);
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    observe_healthy(t, 0, 100);
    observe_healthy(t, 50, 80);
    observe_healthy(fresh, 0, 100);
    thermo_begin_segment(fresh, &facts);
    observe_healthy(fresh, 50, 80);
    expect_same_readings(t, fresh);
    ck_assert_int_eq(thermo_step_seen(t), 79);
    thermo_destroy(t);
    thermo_destroy(fresh);
}
END_TEST

// Two bad steps are passed over, the third in a row is the end of the layer and of the run, until a
// good one comes.
START_TEST(three_bad_steps_diverge) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    observe_healthy(t, 0, 40);
    double before = thermo_value(t, 0, METRIC_KINETIC);
    for (int k = 40; k < 43; k++) {
        expect_value(t, 0, METRIC_KINETIC, before, 0);
        feed_healthy(&f, k);
        feed_gradient(&f, 0, ((double)NAN));
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_KINETIC, "diverged: the statistics are not finite");
    expect_reason(t, THERMO_GLOBAL, METRIC_KINETIC, "diverged: the statistics are not finite");
    ck_assert_uint_eq(thermo_skipped(t), 0);
    observe_healthy(t, 43, 44);
    ck_assert(feed_read(t, 0, METRIC_KINETIC).reason == NULL);
    thermo_destroy(t);
}
END_TEST

// Loss scaling: the gradient overflowed and the optimizer left the step out. However many follow
// one another, no reading moves and nothing has diverged.
START_TEST(steps_not_taken) {
    static const double overflow[] = {((double)NAN), ((double)INFINITY)};
    struct thermo *t = create_sgd(0.9), *untouched = create_sgd(0.9);
    struct feed f;
    observe_healthy(t, 0, 60);
    observe_healthy(untouched, 0, 60);
    for (int k = 60; k < 70; k++) {
        feed_healthy(&f, k);
        feed_gradient(&f, 0, overflow[k % 2]);
        feed_update(&f, 0, 0);
        thermo_observe(t, &f.step);
    }
    ck_assert_uint_eq(thermo_skipped(t), 10);
    expect_same_readings(t, untouched);
    observe_healthy(t, 70, 71);
    ck_assert(feed_read(t, 0, METRIC_STABILITY).reason == NULL);
    // What did move was taken, and one whose weights are gone is no matter of scaling.
    feed_healthy(&f, 71);
    feed_gradient(&f, 0, ((double)INFINITY));
    thermo_observe(t, &f.step);
    feed_healthy(&f, 72);
    feed_gradient(&f, 0, ((double)INFINITY));
    feed_update(&f, 0, 0);
    feed_set(&f, STAT_W_VAR, 0, ((double)NAN));
    thermo_observe(t, &f.step);
    ck_assert_uint_eq(thermo_skipped(t), 10);
    expect_reason(t, 0, METRIC_STABILITY, "diverged: the statistics are not finite");
    thermo_destroy(t);
    thermo_destroy(untouched);
}
END_TEST

// Sent every fourth step: each sent step stands for four, and nothing of neighbours is concluded.
START_TEST(gaps) {
    struct thermo *t = create_sgd(0);
    struct feed f;
    for (int k = 0; k < 400; k += 4) {
        feed_healthy(&f, k);
        feed_set(&f, STAT_GU, 0, -2);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_HEAT, 2 * 397, 1e-9); // 99 gaps of four and the newest step
    expect_value(t, 0, METRIC_ENERGY, -2 * 396, 1e-9);
    expect_reason(t, 0, METRIC_STABILITY, "needs two steps next to each other");
    expect_reason(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY, "needs two steps next to each other");
    thermo_destroy(t);
}
END_TEST

START_TEST(negative_variances) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_healthy(&f, k);
        feed_set(&f, STAT_U_VAR, 0, -1);
        thermo_observe(t, &f.step);
    }
    expect_reason(t, 0, METRIC_VELOCITY, "needs variances that are not negative");
    expect_reason(t, 0, METRIC_STABILITY, "needs variances that are not negative");
    expect_reason(t, THERMO_GLOBAL, METRIC_KINETIC, "needs variances that are not negative");
    ck_assert(feed_read(t, 0, METRIC_CONFIGURATIONAL).reason == NULL);
    thermo_destroy(t);
}
END_TEST

// Numbers of any size, each key of its own: what cannot be told says so, and what is told is a
// number inside its interval.
START_TEST(any_magnitude) {
    static const double sizes[] = {N, 7, 1e12};
    struct dice d = {(uint64_t)_i + 1};
    struct thermo_facts facts = _i % 2 ? facts_adam(0.1) : facts_sgd(_i % 4 ? 0.9 : 0, 0.1);
    struct thermo *t = thermo_create(&facts, 3, sizes);
    double from[STAT_COUNT], span = _i % 3 * 5;
    for (int s = 0; s < STAT_COUNT; s++) {
        from[s] = fmin(80 * dice_normal(&d), 95);
    }
    for (int k = 0; k < 300; k++) {
        struct feed f;
        feed_clear(&f, k);
        f.step.loss = pow(10, from[0] + span * dice_normal(&d));
        f.step.loss_after = f.step.loss * 0.9;
        f.step.lr = pow(10, from[STAT_U_VAR] / 2);
        for (enum statistic s = STAT_W_MEAN; s < STAT_COUNT; s++) {
            for (size_t l = 0; l < 3; l++) {
                feed_set(&f, s, l, pow(10, from[s] + span * dice_normal(&d)));
            }
        }
        thermo_observe(t, &f.step);
        for (size_t l = 0; k % 16 == 15 && l <= 3; l++) {
            struct reading r[METRIC_COUNT];
            thermo_read(t, l < 3 ? l : THERMO_GLOBAL, r);
            for (enum metric m = 0; m < METRIC_COUNT; m++) {
                ck_assert_msg(r[m].reason ? num_is_missing(r[m].value) : isfinite(r[m].value),
                              "%s of layer %zu is %g", metric_name(m), l, r[m].value);
                ck_assert_msg(!r[m].has_interval || (isfinite(r[m].low) && r[m].low <= r[m].high),
                              "%s of layer %zu: %g to %g", metric_name(m), l, r[m].low, r[m].high);
            }
        }
    }
    thermo_destroy(t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_degenerate");
    TCase *tc = tcase_create("degenerate");
    tcase_add_test(tc, before_the_first_step);
    tcase_add_test(tc, what_only_the_whole_run_has);
    tcase_add_loop_test(tc, missing_keys_are_named, 0, 15);
    tcase_add_test(tc, unknown_optimizers_are_not_guessed);
    tcase_add_test(tc, plain_sgd_tells_its_work);
    tcase_add_test(tc, learning_rate_missing_or_zero);
    tcase_add_loop_test(tc, frozen_layers, 0, 2);
    tcase_add_test(tc, dead_layers);
    tcase_add_test(tc, frozen_from_the_start);
    tcase_add_test(tc, no_learning_rate_is_not_frozen);
    tcase_add_test(tc, collapsed_layers);
    tcase_add_test(tc, tiny_layers_have_no_entropy);
    tcase_add_test(tc, unresolved_entropy);
    tcase_add_loop_test(tc, non_finite_steps_are_not_used, 0, 32);
    tcase_add_test(tc, drift_across_a_bad_step);
    tcase_add_test(tc, drift_below_rounding);
    tcase_add_test(tc, non_finite_loss);
    tcase_add_test(tc, repeated_steps);
    tcase_add_test(tc, three_bad_steps_diverge);
    tcase_add_test(tc, steps_not_taken);
    tcase_add_test(tc, gaps);
    tcase_add_test(tc, negative_variances);
    tcase_add_loop_test(tc, any_magnitude, 0, 60);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
