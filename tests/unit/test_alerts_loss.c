// The rules that follow the loss, on made-up runs whose losses have something of their own: a tail,
// zeros, a steep fall, a level far from zero; changes of phase; and jumps, of what the schedule
// sets and of gradients beside each other.
#include "test_alerts_sim.h"

#include <math.h>

static struct sim sim;

static void tear_down(void) {
    sim_destroy(&sim);
}

// A run that has learnt nearly all by heart: at one step in thirty it meets what it has not.
static void spoil_rare(struct feed *f) {
    if (f->step.step % 31 == 7) {
        f->step.loss *= 100;
    }
}

START_TEST(a_tail_of_its_own_is_no_spike) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_SPIKE), 30 + (uint64_t)_i);
    sim.spoil = spoil_rare;
    sim.loss = 0.003;
    sim_steps(&sim, 3000);
    ck_assert_uint_eq(sim.n, 0);
    sim.loss = 30; // beyond the tail
    sim_steps(&sim, 2);
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_SPIKE, ALERT_FIRING), 1);
}
END_TEST

// A loss that falls steeply lies below its trend: one that comes back to it is no news where others
// came nearly as far.
START_TEST(a_loss_that_falls_meets_its_trend) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_SPIKE), 327);
    for (int k = 0; k < 300; k++) {
        double off = k == 280 ? 2.4 : k % 40 == 20 ? 1.6 : 0;
        sim.loss = exp(off - 0.02 * k);
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    sim.loss = exp(7 - 0.02 * 300); // further than any
    sim_steps(&sim, 1);
    sim_find(&sim, RULE_LOSS_SPIKE, ALERT_FIRING);
}
END_TEST

// All but a few samples are learnt and their losses fall; what one that is not makes stays as high
// as it was, further and further off.
START_TEST(a_sample_that_is_not_learnt_is_no_spike) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_SPIKE), 34 + (uint64_t)_i);
    for (int k = 0; k < 3000; k++) {
        bool is_rare = k % 23 == 7;
        double rare = exp(-fabs(dice_normal(&sim.dice)));
        sim.loss = is_rare ? rare : 0.03 * exp(-k / 600.);
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    sim.loss = 3; // higher than any
    sim_steps(&sim, 2);
    sim_find(&sim, RULE_LOSS_SPIKE, ALERT_FIRING);
}
END_TEST

// Behind a steep fall the scatter about the trend is that of the fall; a seventh more is seen by
// the noise. Half a noise more is none; nor is a step that a warm restart brings.
START_TEST(a_loss_that_steps_up) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_SPIKE), 350 + (uint64_t)_i);
    sim.loss_noise = 0.03;
    sim.lr = 0.1;
    for (int k = 0; k < 290; k++) {
        sim.loss = 0.08 + 2 * exp(-k / 30.);
        sim.lr = k < 200 ? 0.1 : 0.02;
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    sim.loss *= _i == 1 ? 1.015 : 1.15;
    sim.lr = _i == 2 ? 0.1 : 0.02;
    sim_steps(&sim, 12);
    ck_assert_uint_eq(sim.n, _i == 0);
    if (_i == 0) {
        ck_assert(sim.changes[0].severity == SEVERITY_WARNING);
        sim_expect_text(&sim.changes[0], "the loss stepped up shortly before step 29");
    }
}
END_TEST

static void spoil_zero(struct feed *f) {
    f->step.loss = f->step.step % 5 == 2 ? 0 : 1e-5 * exp(20 * (f->step.loss - 1));
}

// A float32 loss reaches zero exactly: that is no sign that losses may be negative.
START_TEST(losses_of_zero_are_small_losses) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_SPIKE), 33);
    sim.spoil = spoil_zero;
    sim_steps(&sim, 2000); // over several decades; as differences they would have a heavy tail
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

// The loss falls by half every 200 steps, then rises. An average that lags behind would hide it.
START_TEST(a_rise_behind_a_fall_is_seen) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_RISING), 34);
    for (int i = 0; i < 400; i++) {
        sim.loss = 10 * exp2(-i / 200.);
        sim_steps(&sim, 1);
    }
    ck_assert_uint_eq(sim.n, 0);
    sim.loss *= 2.5;
    sim_steps(&sim, 30);
    const struct alert_change *c = sim_find(&sim, RULE_LOSS_RISING, ALERT_FIRING);
    ck_assert_int_le(c->step, 430);
}
END_TEST

// A loss far from zero, as of text, does not rise by half; that it rises at all can be sure.
START_TEST(a_small_rise_is_told_when_it_is_sure) {
    sim_create_only(&sim, RULE_BIT(RULE_LOSS_RISING), 35);
    sim.loss = 3;
    sim.loss_noise = 0.05;
    sim_steps(&sim, 500);
    ck_assert_uint_eq(sim.n, 0);
    sim.loss = 3.6;
    sim_steps(&sim, 50);
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_RISING, ALERT_FIRING), 1);
}
END_TEST

static const uint64_t of_the_loss = RULE_BIT(RULE_LOSS_SPIKE) | RULE_BIT(RULE_LOSS_RISING);

// What the loss does next to nothing informs; once it is something it warns.
START_TEST(a_loss_next_to_nothing_informs) {
    sim_create_only(&sim, of_the_loss, 37);
    for (int i = 0; i < 1000; i++) {
        sim.loss = fmax(exp(-i / 50.), 1e-5);
        sim_steps(&sim, 1);
    }
    sim.loss = 0.01;
    sim_steps(&sim, 30);
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_SPIKE, ALERT_FIRING), 1);
    for (size_t i = 0; i < sim.n; i++) {
        ck_assert(sim.changes[i].severity == SEVERITY_INFO);
    }
    sim.loss = 0.3;
    sim_steps(&sim, 1);
    ck_assert(sim.changes[sim.n - 1].severity == SEVERITY_WARNING);
}
END_TEST

static void spoil_update(struct feed *f) {
    feed_update(f, 1, 500);
}

// Down there gradients that jump, and the updates with them, inform; an update by itself warns, and
// so does a gradient.
START_TEST(a_shock_next_to_nothing) {
    sim_create_only(&sim, RULE_BIT(RULE_SHOCK), 39);
    for (int i = 0; i < 1000; i++) {
        sim.loss = fmax(exp(-i / 50.), 1e-5);
        sim_steps(&sim, 1);
    }
    sim.heat[1] = _i == 1 ? 1 : 1e5;
    sim.heat[2] = _i == 0 ? 1e5 : 1;
    sim.spoil = _i == 1 ? spoil_update : NULL;
    sim_steps(&sim, 1);
    const struct alert_change *c = sim_find(&sim, RULE_SHOCK, ALERT_FIRING);
    ck_assert(c->layer == 1 && c->severity == (_i ? SEVERITY_WARNING : SEVERITY_INFO));
}
END_TEST

static size_t spoilt_layers;

static void spoil_gradients(struct feed *f) {
    for (size_t i = 0; i < spoilt_layers; i++) {
        double mean = f->column[STAT_G_MEAN][i];
        feed_gradient(f, i, 1e6 * (mean * mean + f->column[STAT_G_VAR][i]));
    }
}

// Where batches make gradients vary fiftyfold, a thousand times the usual is no news if it is all
// layers', and is if it is one's; not where the others' fell.
START_TEST(a_gradient_that_jumps_alone) {
    sim_create_only(&sim, RULE_BIT(RULE_SHOCK), 340);
    for (int k = 0; k < 500; k++) {
        sim.gradient = exp(1.1 * dice_normal(&sim.dice));
        sim_steps(&sim, 1);
    }
    sim.gradient = _i == 2 ? 1e-6 : 1;
    spoilt_layers = _i == 0 ? SIM_LAYERS : 1;
    sim.spoil = spoil_gradients;
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_SHOCK, ALERT_FIRING), _i == 1);
    if (_i == 1) {
        ck_assert_uint_eq(sim.changes[0].layer, 0);
        sim_expect_text(&sim.changes[0], "its gradient jumped at step 500");
        sim_expect_text(&sim.changes[0], "beyond those of all other layers");
    }
}
END_TEST

// The same rise with the learning rate as it was, and where a warm restart brings it.
START_TEST(a_warm_restart_may_raise_the_loss) {
    sim_create_only(&sim, of_the_loss, 38);
    sim_steps(&sim, 300);
    for (int i = 0; i < 200; i++) {
        sim.lr *= 0.99;
        sim_steps(&sim, 1);
    }
    sim.lr = _i ? sim.lr : 0.1;
    sim.loss = 1.3;
    sim_steps(&sim, 400);
    ck_assert_uint_eq(sim_count(&sim, RULE_LOSS_RISING, ALERT_FIRING), (size_t)_i);
}
END_TEST

static double outputs; // of the middle layer; their logarithm scatters by 0.1

static void spoil_outputs(struct feed *f) {
    feed_square(f, STAT_Z_MEAN, STAT_Z_VAR, 1, outputs * exp(0.2 * dice_normal(&sim.dice)));
}

// Seven times the usual scatter below the level is news once it has come twice, gradients as they
// were.
START_TEST(outputs_that_fall) {
    sim_create_only(&sim, RULE_BIT(RULE_SHOCK), 341 + (uint64_t)_i);
    sim.spoil = spoil_outputs;
    outputs = 1;
    sim_steps(&sim, 600);
    sim.gradient = 1e-9;
    sim_steps(&sim, 10);
    sim.gradient = 1;
    sim_steps(&sim, 100);
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    outputs = exp(-2 * 0.8);
    sim_steps(&sim, 2);
    const struct alert_change *c = sim_find(&sim, RULE_SHOCK, ALERT_FIRING);
    ck_assert(c->layer == 1 && c->step == 711 && c->severity == SEVERITY_WARNING);
    sim_expect_text(c, "layer fc2: its outputs fell at step 711");
    sim_expect_text(c, "times the usual scatter below its level");
}
END_TEST

// Thirty steps behind a change of the batch size a jump is seen again.
START_TEST(a_shock_behind_a_batch_change) {
    sim_create(&sim, NULL, 301);
    sim_steps(&sim, 300);
    sim.batch = 256;
    sim.gradient = 0.25;
    sim_steps(&sim, 30);
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
    sim.gradient = 2.5e5;
    sim_steps(&sim, 1);
    ck_assert_int_eq(sim_find(&sim, RULE_SHOCK, ALERT_FIRING)->step, 330);
}
END_TEST

// One jump of the schedule: to five and a half times what was borne.
START_TEST(a_learning_rate_that_jumps) {
    sim_create_only(&sim, RULE_BIT(RULE_LEARNING_RATE), 329);
    sim_steps(&sim, 300);
    sim.lr *= _i ? 5.5 : 4.5;
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_LEARNING_RATE, ALERT_FIRING), (size_t)_i);
}
END_TEST

// Behind a decay: back to what was borne, as a warm restart, or beyond it.
START_TEST(a_learning_rate_that_jumps_behind_a_decay) {
    sim_create_only(&sim, RULE_BIT(RULE_LEARNING_RATE), 330);
    sim_steps(&sim, 300);
    sim.lr /= 5;
    sim_steps(&sim, 300);
    sim.lr *= _i ? 7.5 : 5;
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_LEARNING_RATE, ALERT_FIRING), (size_t)_i);
    if (_i) {
        sim_expect_text(&sim.changes[0],
                        "jumped to 0.15, 7.5 times that of the step before, beyond");
    }
}
END_TEST

// In the learning rate's own warm-up nothing is proven; a jump is a jump.
START_TEST(a_learning_rate_that_jumps_in_its_warm_up) {
    sim_create_only(&sim, RULE_BIT(RULE_LEARNING_RATE), 331);
    for (int k = 0; k < 600; k++) {
        sim.lr = 0.1 * (k + 1) / 1000 * (k >= 500 ? 8 : 1);
        sim_steps(&sim, 1);
        ck_assert_uint_eq(sim_count(&sim, RULE_LEARNING_RATE, ALERT_FIRING), k >= 500);
    }
}
END_TEST

START_TEST(changes_of_phase_are_told) {
    sim_create_only(&sim, RULE_BIT(RULE_PHASE_TRANSITION), 36);
    struct phase_change sure = {PHASE_LOSS, 470, 500, 0.97, 2, 1}, vague = sure;
    vague.probability = 0.3;
    sim_steps(&sim, 100);
    alerts_phase(sim.alerts, &sure); // too early
    sim_steps(&sim, 400);
    alerts_phase(sim.alerts, &vague);
    sim_steps(&sim, 100);
    ck_assert_uint_eq(sim.n, 0);
    alerts_phase(sim.alerts, &vague);
    alerts_phase(sim.alerts, &sure); // before the same step: the surest is told
    sim_steps(&sim, 100);
    const struct alert_change *c = sim_find(&sim, RULE_PHASE_TRANSITION, ALERT_FIRING);
    ck_assert(c->severity == SEVERITY_INFO && c->step == 600 && c->layer == THERMO_GLOBAL);
    sim_expect_text(c, "loss went from 2 to 1 at step 470");
    ck_assert_uint_eq(sim_count(&sim, RULE_PHASE_TRANSITION, ALERT_RESOLVED), 1);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("loss");
    tcase_add_checked_fixture(t, NULL, tear_down);
    tcase_add_loop_test(t, a_tail_of_its_own_is_no_spike, 0, 3);
    tcase_add_test(t, a_loss_that_falls_meets_its_trend);
    tcase_add_loop_test(t, a_loss_that_steps_up, 0, 3);
    tcase_add_loop_test(t, a_sample_that_is_not_learnt_is_no_spike, 0, 5);
    tcase_add_test(t, a_shock_behind_a_batch_change);
    tcase_add_loop_test(t, a_learning_rate_that_jumps, 0, 2);
    tcase_add_loop_test(t, a_learning_rate_that_jumps_behind_a_decay, 0, 2);
    tcase_add_test(t, a_learning_rate_that_jumps_in_its_warm_up);
    tcase_add_test(t, losses_of_zero_are_small_losses);
    tcase_add_test(t, a_rise_behind_a_fall_is_seen);
    tcase_add_test(t, a_small_rise_is_told_when_it_is_sure);
    tcase_add_test(t, a_loss_next_to_nothing_informs);
    tcase_add_loop_test(t, a_shock_next_to_nothing, 0, 3);
    tcase_add_loop_test(t, a_gradient_that_jumps_alone, 0, 3);
    tcase_add_loop_test(t, outputs_that_fall, 0, 5);
    tcase_add_loop_test(t, a_warm_restart_may_raise_the_loss, 0, 2);
    tcase_add_test(t, changes_of_phase_are_told);
    Suite *s = suite_create("alerts on the loss");
    suite_add_tcase(s, t);
    return feed_main(s);
}
