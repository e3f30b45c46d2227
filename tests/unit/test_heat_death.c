// The heat death of a model that is fitted to its own output, and what is none.
#include "test_alerts_sim.h"

#include "probes/distribution.h"

#define CLASSES 64

static struct sim sim;

static void setup(void) {
    sim_create(&sim, NULL, 300 + 7);
    sim_steps(&sim, 1);
}

static void teardown(void) {
    sim_destroy(&sim);
}

static void draw(const double *shares, int n, double *counts) {
    memset(counts, 0, CLASSES * sizeof *counts);
    for (int i = 0; i < n; i++) {
        double u = dice_uniform(&sim.dice);
        size_t k = 0;
        while (k < CLASSES - 1 && u > shares[k]) {
            u -= shares[k++];
        }
        counts[k]++;
    }
}

static void show(const double *counts, bool same_bins) {
    struct distribution_figure f = distribution_entropy_corrected(counts, CLASSES);
    alerts_outputs(sim.alerts, f.value, f.error, same_bins);
}

static void generation(const double *shares, int windows) {
    double counts[CLASSES];
    for (int w = 0; w < windows; w++) {
        draw(shares, 400, counts);
        show(counts, true);
        sim_steps(&sim, 1);
    }
    alerts_refresh(sim.alerts);
    sim_steps(&sim, 1);
}

// In proportion to 1, 1/2, 1/3 ... to the power.
static void zipf(double *shares, double power) {
    double sum = 0;
    for (int i = 0; i < CLASSES; i++) {
        sum += shares[i] = pow(i + 1, -power);
    }
    for (int i = 0; i < CLASSES; i++) {
        shares[i] /= sum;
    }
}

// Each generation learns from 100 samples of the one before, without error but for the sample.
static void learn_from_itself(double *shares) {
    double counts[CLASSES];
    draw(shares, 100, counts);
    for (int i = 0; i < CLASSES; i++) {
        shares[i] = counts[i] / 100;
    }
}

START_TEST(a_model_fed_on_itself) {
    double shares[CLASSES];
    sim.dice.state += (uint64_t)_i;
    zipf(shares, 0.5);
    for (int k = 0; k < 30; k++) {
        generation(shares, 1 + _i % 4);
        learn_from_itself(shares);
    }
    const struct alert_change *c = sim_find(&sim, RULE_HEAT_DEATH, ALERT_FIRING);
    sim_expect_only(&sim, RULE_HEAT_DEATH);
    ck_assert_double_gt(c->value, 0.2);
    ck_assert_uint_eq(c->layer, THERMO_GLOBAL);
    sim_expect_text(c, "lose their variety");
    ck_assert_uint_eq(sim_count(&sim, RULE_HEAT_DEATH, ALERT_RESOLVED), 0); // dead is dead
    zipf(shares, 0.5);
    generation(shares, 3); // until real data come
    ck_assert_uint_eq(sim_count(&sim, RULE_HEAT_DEATH, ALERT_RESOLVED), 1);
}
END_TEST

START_TEST(real_data_keep_it_alive) {
    double shares[CLASSES];
    sim.dice.state += (uint64_t)_i;
    zipf(shares, 0.5);
    for (int k = 0; k < 200; k++) {
        generation(shares, 1 + _i % 4);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

// Every generation has data of its own: nothing but the course tells this from a fall, so that now
// and then one is seen by chance, in some 12000 refreshes.
START_TEST(data_that_differ_are_seldom_taken_for_it) {
    double shares[CLASSES];
    size_t alarms = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        teardown();
        sim_create(&sim, NULL, 1000 + seed);
        sim_steps(&sim, 1);
        for (int k = 0; k < 200; k++) {
            zipf(shares, 0.7 + 0.2 * dice_normal(&sim.dice));
            generation(shares, 3);
        }
        alarms += sim_count(&sim, RULE_HEAT_DEATH, ALERT_FIRING);
    }
    ck_assert_uint_le(alarms, 4);
}
END_TEST

START_TEST(one_fall_is_no_death) {
    double shares[CLASSES];
    for (int k = 0; k < 40; k++) { // other data half way
        zipf(shares, k < 20 ? 0.2 : 1.5);
        generation(shares, 3);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

START_TEST(without_a_refresh_nothing_is_judged) {
    double shares[CLASSES], counts[CLASSES];
    for (int k = 0; k < 100; k++) { // a model that learns what is likely
        zipf(shares, 0.02 * k);
        draw(shares, 400, counts);
        show(counts, true);
        sim_steps(&sim, 1);
    }
    ck_assert_msg(sim.n == 0, "%s", sim.changes[0].summary);
}
END_TEST

// The same fall fires, and fires no more when it begins anew with other bins in its middle.
START_TEST(other_bins_begin_anew) {
    double shares[CLASSES], counts[CLASSES];
    for (int k = 0; k < 6; k++) {
        zipf(shares, 0.25 * k);
        if (k == 3 && _i) {
            draw(shares, 400, counts);
            show(counts, false);
        }
        generation(shares, 3);
    }
    ck_assert_uint_eq(sim_count(&sim, RULE_HEAT_DEATH, ALERT_FIRING), _i ? 0 : 1);
}
END_TEST

START_TEST(what_is_not_finite_counts_for_nothing) {
    alerts_outputs(sim.alerts, NAN, 0.1, true);
    alerts_outputs(sim.alerts, 1, INFINITY, true);
    for (int k = 0; k < 20; k++) {
        alerts_refresh(sim.alerts);
        sim_steps(&sim, 1);
    }
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("heat death");
    TCase *t = tcase_create("heat death");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_model_fed_on_itself, 0, 12);
    tcase_add_loop_test(t, real_data_keep_it_alive, 0, 12);
    tcase_add_test(t, data_that_differ_are_seldom_taken_for_it);
    tcase_add_test(t, one_fall_is_no_death);
    tcase_add_test(t, without_a_refresh_nothing_is_judged);
    tcase_add_loop_test(t, other_bins_begin_anew, 0, 2);
    tcase_add_test(t, what_is_not_finite_counts_for_nothing);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    return feed_main(suite());
}
