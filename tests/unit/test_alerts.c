// Every rule on made-up runs, and what the rules leave alone.
#include "test_alerts_sim.h"

static struct sim sim;

// For tests of these alone: most faults are found by several rules.
#define FIRST_RULES                                                                                \
    (RULE_BIT(RULE_LOSS_NONFINITE) | RULE_BIT(RULE_LOSS_SPIKE) | RULE_BIT(RULE_UNSTABLE) |         \
     RULE_BIT(RULE_OVERHEATING))

static void teardown(void) {
    sim_destroy(&sim);
}

START_TEST(healthy_runs_are_left_alone) {
    sim_create(&sim, NULL, 100 + (uint64_t)_i);
    for (int k = 0; k < 60; k++) { // the loss falls, x rises slowly from drift to noise
        sim.loss *= 0.97;
        sim_all_x(&sim, -0.04 + 0.0007 * k);
        sim_steps(&sim, 100);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

// A learning rate of its own at every step: what a schedule may do.
static double scheduled(int schedule, int step) {
    switch (schedule) {
    case 0: // step decay
        return step < 600 ? 0.1 : step < 900 ? 0.01 : 0.001;
    case 1: // long linear warm-up, then cosine decay to almost nothing
        return step < 500 ? 0.1 * (step + 1) / 500
                          : 0.1 * (1 + cos(M_PI * (step - 500) / 1001)) / 2 + 1e-6;
    case 2: // warm restarts
        return 0.1 * (1 + cos(M_PI * (step % 300) / 300)) / 2 + 1e-6;
    case 3: // up by half, half way
        return step < 700 ? 0.1 : 0.15;
    default: // up to five times
        return step < 700 ? 0.02 : 0.1;
    }
}

START_TEST(schedules_are_left_alone) {
    sim_create(&sim, NULL, 200 + (uint64_t)_i);
    for (int k = 0; k < 1500; k++) {
        sim.lr = scheduled(_i, k);
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

// While the learning rate warms up, so does the run.
START_TEST(a_warm_up_is_waited_for) {
    sim_create(&sim, NULL, 206);
    for (int k = 0; k < 1000; k++) {
        double share = k < 500 ? k / 500. : 1;
        sim.lr = 0.1 * share + 1e-6;
        sim_all_x(&sim, -0.04 + 0.36 * share);
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

// Gradient noise falls with the batch: |g|^2 is 16 times as large with a 16th of the batch.
START_TEST(batch_sizes_are_left_alone) {
    sim_create(&sim, NULL, 300);
    sim_steps(&sim, 600);
    sim.batch = 4;
    sim.gradient = 16;
    sim_steps(&sim, 600);
    sim.batch = 256;
    sim.gradient = 0.25;
    for (int k = 0; k < 60; k++) { // an odd last batch in every epoch
        sim_steps(&sim, 9);
        sim.batch = 32;
        sim.gradient = 2;
        sim_steps(&sim, 1);
        sim.batch = 256;
        sim.gradient = 0.25;
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    sim.heat[1] = 1e4; // the rule judges again afterwards
    sim_steps(&sim, 60);
    ck_assert_uint_eq(sim_count(&sim, RULE_OVERHEATING, ALERT_FIRING), 1);
}
END_TEST

static void spoil_loss(struct feed *f) {
    f->step.loss = (double)NAN;
}

START_TEST(a_loss_that_is_nan) {
    sim_create_only(&sim, ~RULE_BIT(RULE_EXPLODING_TENSOR), 1);
    sim_steps(&sim, 10);
    sim.spoil = spoil_loss;
    sim_steps(&sim, 2);
    sim.spoil = NULL;
    ck_assert_uint_eq(sim.n, 1);
    const struct alert_change *c = &sim.changes[0];
    ck_assert(c->rule == RULE_LOSS_NONFINITE && c->state == ALERT_FIRING && !c->cancelled);
    ck_assert(c->severity == SEVERITY_CRITICAL && c->layer == THERMO_GLOBAL);
    ck_assert(c->since == 10 && c->step == 10 && c->group_since == 10);
    ck_assert(c->group_rule == RULE_LOSS_NONFINITE && c->group_layer == THERMO_GLOBAL);
    ck_assert_str_eq(c->summary, "the loss became NaN or infinite at step 10");
    sim_steps(&sim, 19);
    ck_assert_uint_eq(sim.n, 1);
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim.n, 2);
    ck_assert(sim.changes[1].state == ALERT_RESOLVED && sim.changes[1].since == 10);
    ck_assert_double_eq_tol(sim.changes[1].time, 1e9 + 31, 1e-3);
}
END_TEST

static void spoil_one_gradient(struct feed *f) {
    feed_set(f, STAT_G_VAR, 1, (double)INFINITY);
}
static void spoil_first_gradients(struct feed *f) {
    for (size_t i = 0; i < 3; i++) {
        feed_set(f, STAT_G_MEAN, i, (double)NAN);
        feed_set(f, STAT_U_MEAN, i, (double)NAN);
    }
}
static void spoil_weights(struct feed *f) {
    feed_set(f, STAT_W_MAX, 2, -(double)INFINITY);
    feed_set(f, STAT_G_MEAN, 0, (double)NAN);
}
static void spoil_all(struct feed *f) {
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        feed_set(f, STAT_G_VAR, i, (double)NAN);
    }
}
static void spoil_update(struct feed *f) {
    feed_set(f, STAT_U_VAR, 0, (double)NAN);
    feed_set(f, STAT_U_VAR, 3, (double)NAN);
    f->step.loss = (double)INFINITY;
}

static const struct origin {
    void (*spoil)(struct feed *f);
    size_t layer;
    const char *summary;
} origins[] = {
    {spoil_one_gradient, 1, "layer fc2: its gradient became NaN or infinite at step 5"},
    {spoil_first_gradients, 2,
     "layer conv: its gradient became NaN or infinite at step 5, with that of 2 other layers"},
    {spoil_weights, 2, "layer conv: its weights became NaN or infinite at step 5"},
    {spoil_all, THERMO_GLOBAL, "the gradient of all 4 layers became NaN or infinite at step 5"},
    {spoil_update, 0,
     "layer fc1: its update became NaN or infinite at step 5, with that of 1 other layer"},
};
#define ORIGINS (int)(sizeof origins / sizeof *origins)

START_TEST(what_is_not_finite_is_traced) {
    sim_create_only(&sim, ~RULE_BIT(RULE_EXPLODING_TENSOR), 2);
    sim_steps(&sim, 5);
    sim.spoil = origins[_i].spoil;
    sim_steps(&sim, 1);
    sim.spoil = spoil_all; // spreads; the alert stays where it began
    sim_steps(&sim, 20);
    sim.spoil = NULL;
    sim_steps(&sim, 20);
    ck_assert_uint_eq(sim.n, 2);
    ck_assert_str_eq(sim.changes[0].summary, origins[_i].summary);
    ck_assert(sim.changes[0].layer == origins[_i].layer);
    ck_assert(sim.changes[1].layer == origins[_i].layer);
    ck_assert(sim.changes[1].state == ALERT_RESOLVED);
}
END_TEST

static void spoil_nothing(struct feed *f) { // all 'not measured'
    f->step.loss = num_missing();
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        feed_set(f, STAT_G_VAR, i, num_missing());
        feed_set(f, STAT_W_MIN, i, num_missing());
    }
}

START_TEST(not_measured_is_not_nonfinite) {
    sim_create(&sim, NULL, 3);
    sim.spoil = spoil_nothing;
    sim_steps(&sim, 300);
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

// A run without any statistics, learning rate or batch size.
static void spoil_everything(struct feed *f) {
    double loss = f->step.loss;
    feed_clear(f, f->step.step);
    f->step.loss = loss;
}

START_TEST(a_bare_loss_is_judged) {
    sim_create(&sim, NULL, 4);
    sim.spoil = spoil_everything;
    sim_steps(&sim, 400);
    sim.loss = 30;
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim.n, 1);
    ck_assert(sim.changes[0].rule == RULE_LOSS_SPIKE);
}
END_TEST

START_TEST(divergence_silences_the_rest) {
    sim_create_only(&sim, FIRST_RULES, 5);
    sim_steps(&sim, 500);
    sim.heat[1] = 1e4;
    sim_steps(&sim, 10);
    ck_assert(sim_find(&sim, RULE_OVERHEATING, ALERT_PENDING)->layer == 1);
    sim.spoil = spoil_loss;
    sim_steps(&sim, 3);
    sim.spoil = NULL;
    sim.loss = 1000;
    sim_all_x(&sim, 0.9);
    sim_steps(&sim, 19); // finite again, but the run counts as diverged
    size_t cancelled = 0;
    for (size_t i = 0; i < sim.n; i++) {
        cancelled += sim.changes[i].cancelled;
        ck_assert(sim.changes[i].state == ALERT_PENDING ||
                  sim.changes[i].rule == RULE_LOSS_NONFINITE);
    }
    ck_assert_uint_ge(cancelled, 1);
    size_t before = sim.n;
    sim_steps(&sim, 60);
    ck_assert(sim.changes[before].rule == RULE_LOSS_NONFINITE);
    ck_assert_uint_ge(sim_count(&sim, RULE_LOSS_SPIKE, ALERT_FIRING), 1);
}
END_TEST

START_TEST(a_spike_comes_and_goes) {
    sim_create(&sim, NULL, 6);
    sim_steps(&sim, 500);
    sim.loss = 8;
    sim_steps(&sim, 3);
    sim.loss = 1;
    sim_steps(&sim, 100);
    sim_expect_only(&sim, RULE_LOSS_SPIKE);
    ck_assert_uint_eq(sim.n, 2);
    ck_assert(sim.changes[0].state == ALERT_FIRING && sim.changes[0].severity == SEVERITY_WARNING);
    ck_assert(sim.changes[0].since == 500 && sim.changes[0].layer == THERMO_GLOBAL);
    ck_assert_double_gt(sim.changes[0].value, sim.changes[0].threshold);
    sim_expect_text(&sim.changes[0], "the loss jumped at step 500");
    ck_assert(sim.changes[1].state == ALERT_RESOLVED);
    sim.loss = 8; // again, within the cooldown
    sim_steps(&sim, 3);
    ck_assert_uint_eq(sim.n, 2);
}
END_TEST

// Loss and gradient at about seven sigma each: enough together, not alone.
START_TEST(loss_and_gradient_spike_together) {
    sim_create_only(&sim, FIRST_RULES, 7);
    sim_steps(&sim, 500);
    sim.loss = exp(0.7);
    sim.loss_noise = 0;
    if (_i) {
        sim.gradient = 50;
    }
    sim_steps(&sim, 1); // one alone may be a heavy tail
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_SPIKE, ALERT_FIRING), 0);
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_SPIKE, ALERT_FIRING), (size_t)_i);
    if (_i) {
        const struct alert_change *c = sim_find(&sim, RULE_LOSS_SPIKE, ALERT_FIRING);
        ck_assert_double_eq_tol(c->threshold, 6, 1e-12);
        sim_expect_text(c, "the gradient jumped with it");
    }
}
END_TEST

START_TEST(a_spike_that_stays_is_critical) {
    sim_create_only(&sim, FIRST_RULES, 8);
    sim_steps(&sim, 500);
    sim.loss = 8;
    sim_steps(&sim, 101);
    ck_assert_uint_eq(sim.n, 2);
    ck_assert(sim.changes[1].state == ALERT_FIRING && sim.changes[1].severity == SEVERITY_CRITICAL);
    ck_assert(sim.changes[1].since == 500 && sim.changes[1].step == 500);
    sim_expect_text(&sim.changes[1], "has not come back in 100 steps");
    sim_steps(&sim, 700); // at last the new level is the level
    ck_assert_uint_eq(sim.n, 3);
    ck_assert(sim.changes[2].state == ALERT_RESOLVED);
}
END_TEST

START_TEST(losses_below_zero_are_judged_as_they_are) {
    sim_create(&sim, NULL, 9);
    sim.loss = -5;
    sim_steps(&sim, 600);
    ck_assert_uint_eq(sim.n, 0);
    sim.loss = 5;
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_SPIKE, ALERT_FIRING), 1);
}
END_TEST

START_TEST(nothing_statistical_before_the_warm_up) {
    sim_create(&sim, NULL, 10);
    sim_steps(&sim, 200);
    sim.loss = 100;
    sim.heat[0] = 1e4;
    sim_all_x(&sim, 0.9);
    sim_steps(&sim, 56);
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

START_TEST(one_layer_nears_the_edge) {
    sim_create_only(&sim, FIRST_RULES, 11);
    sim_steps(&sim, 500);
    sim.x[1] = 0.8;
    sim_steps(&sim, 200);
    const struct alert_change *c = sim_find(&sim, RULE_UNSTABLE, ALERT_FIRING);
    ck_assert(c->layer == 1 && c->step - c->since == 19);
    ck_assert(c->group_layer == 1 && c->group_since == c->since && c->group_rule == RULE_UNSTABLE);
    ck_assert_double_gt(c->value, c->threshold);
    ck_assert(c->severity == SEVERITY_INFO); // at a proven learning rate, and the loss is well
    sim_expect_text(c, "layer fc2 is close to instability: its stability fraction rose to 0.");
    sim_expect_text(c, "for 20 steps (healthy level ");
    sim_steps(&sim, 1500); // a fault does not become the healthy level by lasting
    ck_assert_uint_eq(sim_count(&sim, RULE_UNSTABLE, ALERT_RESOLVED), 0);
    sim.x[1] = 0;
    sim_steps(&sim, 400);
    ck_assert_uint_eq(sim_count(&sim, RULE_UNSTABLE, ALERT_FIRING), 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_UNSTABLE, ALERT_RESOLVED), 1);
}
END_TEST

START_TEST(the_edge_is_critical_once_the_loss_suffers) {
    sim_create_only(&sim, FIRST_RULES | RULE_BIT(RULE_LOSS_RISING), 11);
    sim_steps(&sim, 500);
    sim.x[1] = 0.8;
    sim.loss = 1.3;
    sim_steps(&sim, 200);
    const struct alert_change *c = sim_find(&sim, RULE_UNSTABLE, ALERT_FIRING);
    ck_assert(c->layer == 1 && c->severity == SEVERITY_CRITICAL);
}
END_TEST

// Debugger's rules look at what streamed statistics tell, layer by layer.
static void spoil_vanishing(struct feed *f) {
    feed_gradient(f, 1, 1e-20);
}

START_TEST(a_gradient_that_vanishes) {
    sim_create_only(&sim, RULE_BIT(RULE_VANISHING_GRADIENT), 41);
    sim_steps(&sim, 200);
    sim.spoil = spoil_vanishing;
    sim_steps(&sim, 49);
    ck_assert_uint_eq(sim_count(&sim, RULE_VANISHING_GRADIENT, ALERT_FIRING), 0);
    sim_steps(&sim, 1);
    const struct alert_change *c = sim_find(&sim, RULE_VANISHING_GRADIENT, ALERT_FIRING);
    ck_assert(c->layer == 1 && c->severity == SEVERITY_INFO && c->value < 1e-7);
    ck_assert_double_eq_tol(c->threshold, 1e-7, 1e-20);
    sim.spoil = NULL;
    sim_steps(&sim, 50);
    ck_assert_uint_eq(sim_count(&sim, RULE_VANISHING_GRADIENT, ALERT_RESOLVED), 1);
}
END_TEST

static void spoil_frozen_update(struct feed *f) {
    feed_update(f, 3, 0);
}

START_TEST(a_tensor_that_stays) {
    sim_create_only(&sim, RULE_BIT(RULE_UNCHANGED_TENSOR), 42);
    sim_steps(&sim, 200);
    sim.spoil = spoil_frozen_update;
    sim_steps(&sim, 3);
    const struct alert_change *c = sim_find(&sim, RULE_UNCHANGED_TENSOR, ALERT_FIRING);
    ck_assert(c->layer == 3 && c->step - c->since == 2);
}
END_TEST

START_TEST(a_loss_that_does_not_decrease) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_NOT_DECREASING), 43);
    sim_steps(&sim, 2000);
    ck_assert_uint_eq(sim.n, 0);
    sim.loss = 1.2;
    sim_steps(&sim, 1000);
    const struct alert_change *c = sim_find(&sim, RULE_LOSS_NOT_DECREASING, ALERT_FIRING);
    ck_assert_double_eq_tol(c->value, 20, 3);
}
END_TEST

START_TEST(the_whole_run_nears_the_edge) {
    sim_create(&sim, NULL, 12);
    sim_steps(&sim, 500);
    sim_all_x(&sim, 0.7);
    sim_steps(&sim, 200);
    size_t whole = 0, fired = sim_count(&sim, RULE_UNSTABLE, ALERT_FIRING);
    int64_t since = sim_find(&sim, RULE_UNSTABLE, ALERT_FIRING)->since;
    for (size_t i = 0; i < sim.n; i++) {
        const struct alert_change *c = &sim.changes[i];
        if (c->state == ALERT_FIRING) {
            ck_assert(c->group_since == since && c->group_rule == RULE_UNSTABLE);
        }
        if (c->state == ALERT_FIRING && c->layer == THERMO_GLOBAL) {
            whole++;
            sim_expect_text(c, "the run is close to instability: in ");
        }
    }
    ck_assert_uint_eq(whole, 1);
    ck_assert_uint_le(fired, 3); // two layers may have been a few steps ahead of the others
    sim_all_x(&sim, 0);
    sim_steps(&sim, 400);
    ck_assert_uint_eq(sim_count(&sim, RULE_UNSTABLE, ALERT_RESOLVED), fired);
    for (size_t i = 0; i < sim.n; i++) { // what fades grows no worse
        ck_assert(sim.changes[i].severity == SEVERITY_INFO);
    }
}
END_TEST

START_TEST(a_high_level_may_be_healthy) {
    sim_create(&sim, NULL, 13);
    sim_all_x(&sim, 0.3);
    sim_steps(&sim, 2000);
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

// The same small rise says nothing at a proven learning rate and much at three times that.
START_TEST(a_rise_counts_by_the_learning_rate) {
    sim_create(&sim, NULL, 14);
    sim_steps(&sim, 600);
    for (int k = 0; k < 366; k++) {
        sim.lr *= _i ? 1.003 : 1;
        sim_all_x(&sim, 0.08 * k / 366);
        sim_steps(&sim, 1);
    }
    sim_steps(&sim, 200);
    ck_assert((sim_count(&sim, RULE_UNSTABLE, ALERT_FIRING) > 0) == (_i > 0));
    if (_i) {
        const struct alert_change *c = sim_find(&sim, RULE_UNSTABLE, ALERT_FIRING);
        sim_expect_text(c, "is heading for instability");
        sim_expect_text(c, "times the highest that the run has shown to bear");
    }
}
END_TEST

// A little above the proven one is enough where it rises from step to step, and not where it steps
// up.
START_TEST(a_learning_rate_that_creeps) {
    sim_create_only(&sim, RULE_BIT(RULE_LEARNING_RATE), 15);
    sim_steps(&sim, 600);
    double end = 1.3 * sim.lr;
    sim.lr = _i ? sim.lr : end;
    for (; sim.lr < end; sim.lr *= 1.004) {
        sim_steps(&sim, 1);
    }
    sim_steps(&sim, 10);
    ck_assert_uint_eq(sim_count(&sim, RULE_LEARNING_RATE, ALERT_FIRING), (size_t)_i);
}
END_TEST

START_TEST(one_layer_overheats) {
    sim_create_only(&sim, FIRST_RULES | RULE_BIT(RULE_LOSS_RISING), 15);
    sim_steps(&sim, 500);
    sim.heat[2] = 300;
    sim.loss = _i ? 1.3 : 1; // the loss suffers, though it does not rise enough to be told
    sim_steps(&sim, 100);
    if (!_i) {
        sim_expect_only(&sim, RULE_OVERHEATING);
    }
    const struct alert_change *c = sim_find(&sim, RULE_OVERHEATING, ALERT_FIRING);
    ck_assert(c->layer == 2 && c->severity == (_i ? SEVERITY_WARNING : SEVERITY_INFO));
    sim_expect_text(c, "layer conv overheats: its kinetic temperature is ");
    sim.heat[2] = 1;
    sim_steps(&sim, 200);
    const struct alert_change *gone = sim_find(&sim, RULE_OVERHEATING, ALERT_RESOLVED);
    ck_assert(gone->layer == 2 && gone->since == c->since && gone->step == c->step);
    sim_expect_text(gone, "layer conv overheated from step ");
}
END_TEST

START_TEST(everything_overheats_at_once) {
    sim_create(&sim, NULL, 16);
    sim_steps(&sim, 500);
    sim.gradient = 1000;
    sim_steps(&sim, 100);
    ck_assert_uint_eq(sim_count(&sim, RULE_OVERHEATING, ALERT_FIRING), 1);
    const struct alert_change *c = sim_find(&sim, RULE_OVERHEATING, ALERT_FIRING);
    ck_assert(c->layer == THERMO_GLOBAL);
    sim_expect_text(c, "the run overheats: in 4 of 4 layers");
}
END_TEST

START_TEST(layers_that_fire_together_are_one_group) {
    sim_create_only(&sim, FIRST_RULES, 17);
    sim_steps(&sim, 500);
    sim.heat[2] = 30;
    sim_steps(&sim, 8 + 60 * _i); // soon, or while the first still fires
    sim.heat[3] = 30;
    sim_steps(&sim, 100);
    sim.heat[2] = sim.heat[3] = 1;
    sim_steps(&sim, 100);
    sim.heat[0] = 30; // much later: a cause of its own
    sim_steps(&sim, 100);
    size_t seen = 0;
    int64_t first = sim_find(&sim, RULE_OVERHEATING, ALERT_FIRING)->since;
    for (size_t i = 0; i < sim.n; i++) {
        const struct alert_change *c = &sim.changes[i];
        if (c->state != ALERT_FIRING || c->layer == THERMO_GLOBAL) {
            continue;
        }
        seen++;
        ck_assert(c->group_rule == RULE_OVERHEATING);
        ck_assert((c->group_layer == 2 && c->group_since == first) == (c->layer != 0));
    }
    ck_assert_uint_eq(seen, 3);
}
END_TEST

START_TEST(different_rules_may_have_one_cause) {
    sim_create_only(&sim, FIRST_RULES, 27);
    sim_steps(&sim, 500);
    sim.loss = 30;
    sim.heat[2] = 100;
    sim_steps(&sim, 60);
    const struct alert_change *c = sim_find(&sim, RULE_OVERHEATING, ALERT_FIRING);
    ck_assert(c->group_rule == RULE_LOSS_SPIKE && c->group_layer == THERMO_GLOBAL);
    ck_assert_int_eq(c->group_since, 500);
}
END_TEST

// Figures at the end of the range of doubles, and weights of zero.
static void spoil_by_size(struct feed *f) {
    double big = f->step.step % 3 == 0 ? 1e300 : f->step.step % 3 == 1 ? 1e-300 : 0;
    feed_update(f, 0, big);
    feed_gradient(f, 1, big);
    feed_weights(f, 2, 0);
    feed_set(f, STAT_U_VAR, 3, -1);
    f->step.loss = f->step.step % 2 ? 1e308 : -1e308;
    f->step.lr = big;
    f->step.batch_size = big;
}

START_TEST(figures_beyond_measure_do_no_harm) {
    sim_create(&sim, NULL, 23);
    sim_steps(&sim, 400);
    sim.spoil = spoil_by_size;
    sim_steps(&sim, 60);
    sim.spoil = NULL;
    sim_steps(&sim, 3000);
    size_t n = sim.n;
    sim.heat[2] = 1e4;
    sim_steps(&sim, 100);
    ck_assert_uint_gt(sim.n, n); // and the rules still work
    for (size_t i = 0; i < sim.n; i++) {
        ck_assert(isfinite(sim.changes[i].value) && isfinite(sim.changes[i].threshold));
    }
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("alerts");
    TCase *t = tcase_create("alerts");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_loop_test(t, healthy_runs_are_left_alone, 0, 8);
    tcase_add_loop_test(t, schedules_are_left_alone, 0, 5);
    tcase_add_test(t, a_warm_up_is_waited_for);
    tcase_add_test(t, batch_sizes_are_left_alone);
    tcase_add_test(t, a_loss_that_is_nan);
    tcase_add_loop_test(t, what_is_not_finite_is_traced, 0, ORIGINS);
    tcase_add_test(t, not_measured_is_not_nonfinite);
    tcase_add_test(t, a_bare_loss_is_judged);
    tcase_add_test(t, divergence_silences_the_rest);
    tcase_add_test(t, a_spike_comes_and_goes);
    tcase_add_loop_test(t, loss_and_gradient_spike_together, 0, 2);
    tcase_add_test(t, a_spike_that_stays_is_critical);
    tcase_add_test(t, losses_below_zero_are_judged_as_they_are);
    tcase_add_test(t, nothing_statistical_before_the_warm_up);
    tcase_add_test(t, the_edge_is_critical_once_the_loss_suffers);
    tcase_add_test(t, a_gradient_that_vanishes);
    tcase_add_test(t, a_tensor_that_stays);
    tcase_add_test(t, a_loss_that_does_not_decrease);
    tcase_add_test(t, one_layer_nears_the_edge);
    tcase_add_test(t, the_whole_run_nears_the_edge);
    tcase_add_test(t, a_high_level_may_be_healthy);
    tcase_add_loop_test(t, a_rise_counts_by_the_learning_rate, 0, 2);
    tcase_add_loop_test(t, a_learning_rate_that_creeps, 0, 2);
    tcase_add_loop_test(t, one_layer_overheats, 0, 2);
    tcase_add_test(t, everything_overheats_at_once);
    tcase_add_loop_test(t, layers_that_fire_together_are_one_group, 0, 2);
    tcase_add_test(t, different_rules_may_have_one_cause);
    tcase_add_test(t, figures_beyond_measure_do_no_harm);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    return feed_main(suite());
}
