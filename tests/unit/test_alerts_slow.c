// Faults that come on slowly: weights that decay, inputs that drift, learning rates that creep,
// labels that go wrong.
#include "test_alerts_sim.h"

static struct sim sim;
static double size[SIM_LAYERS], noise, outputs; // of the weights; of both; of the first layer
static unsigned shrinking;                      // layers

static void tear_down(void) {
    sim_destroy(&sim);
}

static void set_up(void) {
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        size[i] = 1;
    }
    noise = 0;
    outputs = 1;
    shrinking = SIM_LAYERS;
}

static void spoil_weights(struct feed *f) {
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        double x = size[i] * (1 + noise * dice_normal(&sim.dice));
        feed_weights(f, i, x * x);
    }
}

static void decay(double share) {
    for (size_t i = 0; i < shrinking; i++) {
        size[i] *= 1 - share;
    }
}

static void creep(int steps) {
    for (int k = 0; k < steps; k++) {
        decay(1e-5 * k);
        sim_steps(&sim, 1);
    }
}

START_TEST(weights_that_decay_little_by_little) {
    sim_create_only(&sim, RULE_BIT(RULE_QUENCHING), 41);
    sim.spoil = spoil_weights;
    noise = 5e-4; // a single step shows nothing
    sim_steps(&sim, 400);
    creep(100);
    const struct alert_change *c = sim_find(&sim, RULE_QUENCHING, ALERT_FIRING);
    ck_assert(c->severity == SEVERITY_WARNING && c->layer == THERMO_GLOBAL && c->step < 480);
    sim_expect_text(c, "the weights of 4 of 4 layers shrink");
    sim_steps(&sim, 300);
    ck_assert_uint_eq(sim_count(&sim, RULE_QUENCHING, ALERT_RESOLVED), 1);
}
END_TEST

START_TEST(half_of_the_layers_may_shrink) {
    sim_create_only(&sim, RULE_BIT(RULE_QUENCHING), 42);
    sim.spoil = spoil_weights;
    noise = 5e-4;
    sim_steps(&sim, 400);
    shrinking = SIM_LAYERS / 2;
    creep(300);
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

// Layers whose size sways by a tenth shrink now and then, and together by chance.
START_TEST(weights_that_sway) {
    sim_create_only(&sim, RULE_BIT(RULE_QUENCHING), 45);
    sim.spoil = spoil_weights;
    for (int k = 0; k < 3000; k++) {
        for (size_t i = 0; i < SIM_LAYERS; i++) {
            size[i] = exp(0.98 * log(size[i]) + 0.01 * dice_normal(&sim.dice));
        }
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

// Through a long warm-up of the learning rate, a step decay and a restart.
START_TEST(decay_in_proportion_to_the_learning_rate_is_the_runs_own) {
    sim_create_only(&sim, RULE_BIT(RULE_QUENCHING), 43);
    sim.spoil = spoil_weights;
    for (int k = 0; k < 2000; k++) {
        sim.lr = k < 500 ? 2e-4 * k : k < 1000 ? 0.1 : k < 1500 ? 0.01 : 0.1;
        decay(0.01 * sim.lr);
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    for (int k = 0; k < 100; k++) {
        decay(0.05 * sim.lr); // five times as much
        sim_steps(&sim, 1);
    }
    sim_find(&sim, RULE_QUENCHING, ALERT_FIRING);
}
END_TEST

static void spoil_outputs(struct feed *f) {
    double x = outputs * exp(noise * dice_normal(&sim.dice));
    feed_square(f, STAT_Z_MEAN, STAT_Z_VAR, 0, x * x);
}

static void drift(int steps, double rate) {
    for (int k = 0; k < steps; k++) {
        outputs *= 1 + rate;
        sim_steps(&sim, 1);
    }
}

START_TEST(inputs_that_drift_beneath_the_noise_of_small_batches) {
    sim_create_only(&sim, RULE_BIT(RULE_DATA_SHIFT), 44 + (uint64_t)_i);
    sim.spoil = spoil_outputs;
    noise = 0.25;
    drift(600, 5e-5); // the first layer learns
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    drift(150, _i ? -0.006 : 0.006);
    const struct alert_change *c = sim_find(&sim, RULE_DATA_SHIFT, ALERT_FIRING);
    ck_assert(c->severity == SEVERITY_WARNING && c->step < 720);
    sim_expect_text(c, _i ? "inputs shrink" : "inputs grow");
}
END_TEST

// Behind a decay, within what the run has borne: by the same share at each step, along a line,
// along a wave.
static double rising(int way, int step) {
    switch (way) {
    case 0:
        return 0.004 * pow(1.005, step);
    case 1:
        return 0.004 + 0.0004 * step;
    default:
        return 0.004 + 0.048 * (1 - cos(M_PI * step / 240));
    }
}

START_TEST(a_learning_rate_that_creeps_up_behind_a_decay) {
    sim_create_only(&sim, RULE_BIT(RULE_LEARNING_RATE), 46);
    sim_steps(&sim, 400);
    for (int k = -100; k < 240; k++) {
        sim.lr = rising(_i, k > 0 ? k : 0);
        sim_steps(&sim, 1);
    }
    ck_assert_uint_eq(sim_count(&sim, RULE_LEARNING_RATE, ALERT_FIRING), _i == 0);
    if (_i == 0) {
        ck_assert(sim.changes[0].step < 650 && sim.changes[0].severity == SEVERITY_WARNING);
        sim_expect_text(&sim.changes[0], "has crept up to 0.008");
        sim_expect_text(&sim.changes[0], "by the same share at each step");
    }
}
END_TEST

// Where losses vary by a factor of three from step to step: a step or two far above all others is
// no rise, three are, once the average is thrice its least.
START_TEST(a_loss_that_fails_within_some_steps) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_RISING), 47);
    sim.loss_noise = 0;
    for (int k = 0; k < 600; k++) {
        bool failing = k >= 590 && k < 590 + _i;
        sim.loss = failing ? 3 : 0.1 * exp(dice_normal(&sim.dice));
        sim_steps(&sim, 1);
    }
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_RISING, ALERT_FIRING), _i > 2);
    if (_i > 2) {
        ck_assert_int_eq(sim.changes[0].step, 592);
    }
}
END_TEST

int main(void) {
    TCase *t = tcase_create("slow");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, weights_that_decay_little_by_little);
    tcase_add_test(t, half_of_the_layers_may_shrink);
    tcase_add_test(t, weights_that_sway);
    tcase_add_test(t, decay_in_proportion_to_the_learning_rate_is_the_runs_own);
    tcase_add_loop_test(t, inputs_that_drift_beneath_the_noise_of_small_batches, 0, 2);
    tcase_add_loop_test(t, a_learning_rate_that_creeps_up_behind_a_decay, 0, 3);
    tcase_add_loop_test(t, a_loss_that_fails_within_some_steps, 1, 4);
    Suite *s = suite_create("slow faults");
    suite_add_tcase(s, t);
    return feed_main(s);
}
