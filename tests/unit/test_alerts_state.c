// Silence, skipped steps, the end of a run, rewinds, changes of the rules, and the state as bytes.
#include "test_alerts_sim.h"

static struct sim sim;

static void teardown(void) {
    sim_destroy(&sim);
}

START_TEST(silence_is_told_once_and_ends_with_a_step) {
    sim_create(&sim, NULL, 18);
    sim_steps(&sim, 3);
    for (int round = 0; round < 2; round++) { // a second silence is not hushed by the first
        size_t n = sim.n;
        alerts_stalled(sim.alerts, 2e9, 75, 60, sim_record, &sim);
        alerts_stalled(sim.alerts, 2e9, 80, 60, sim_record, &sim);
        ck_assert_uint_eq(sim.n, n + 1);
        ck_assert(sim.changes[n].rule == RULE_STALLED && sim.changes[n].state == ALERT_FIRING);
        ck_assert(sim.changes[n].severity == SEVERITY_CRITICAL);
        ck_assert_int_eq(sim.changes[n].since, 2 + round);
        sim_steps(&sim, 1);
        ck_assert_uint_eq(sim.n, n + 2);
        ck_assert(sim.changes[n + 1].state == ALERT_RESOLVED);
        ck_assert_int_eq(sim.changes[n + 1].since, 2 + round);
    }
    ck_assert_str_eq(sim.changes[0].summary,
                     "no step came for 75 s after step 2, longer than the 60 s allowed");
}
END_TEST

static void spoil_by_overflow(struct feed *f) {
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        feed_update(f, i, 0);
    }
    feed_set(f, STAT_G_VAR, 1, (double)INFINITY);
}

// Loss scaling: ten skipped steps of the last 200 are its way to work, eleven are too many.
START_TEST(skipped_steps_are_counted) {
    sim_create(&sim, NULL, 6);
    for (int k = 0; k < 10; k++) {
        sim_steps(&sim, 19);
        sim.spoil = spoil_by_overflow;
        sim_steps(&sim, 1);
        sim.spoil = NULL;
    }
    ck_assert_uint_eq(sim.n, 0);
    sim.spoil = spoil_by_overflow;
    sim_steps(&sim, 1);
    sim.spoil = NULL;
    ck_assert_uint_eq(sim.n, 1);
    const struct alert_change *c = &sim.changes[0];
    ck_assert(c->rule == RULE_SKIPPED_STEPS && c->state == ALERT_FIRING);
    ck_assert(c->severity == SEVERITY_WARNING && c->layer == THERMO_GLOBAL && c->since == 200);
    ck_assert_double_eq_tol(c->value, 0.055, 1e-12);
    sim_expect_text(c, "skipped 11 of the last 200 steps up to step 200");
    sim_steps(&sim, 138);
    ck_assert_uint_eq(sim.n, 1);
    sim_steps(&sim, 1); // step 339: the seventh, of step 139, is forgotten
    ck_assert_uint_eq(sim.n, 2);
    ck_assert(sim.changes[1].state == ALERT_RESOLVED && sim.changes[1].since == 200);
}
END_TEST

static void spoil_one_gradient(struct feed *f) {
    feed_set(f, STAT_G_VAR, 1, (double)INFINITY);
}

// What is not finite without being skipped for it is a fault as ever.
START_TEST(skipped_steps_hide_no_fault) {
    sim_create(&sim, NULL, 7);
    sim_steps(&sim, 5);
    sim.spoil = spoil_one_gradient; // the weights move
    sim_steps(&sim, 1);
    sim.spoil = NULL;
    sim_find(&sim, RULE_LOSS_NONFINITE, ALERT_FIRING);
}
END_TEST

START_TEST(the_end_closes_what_is_open) {
    sim_create(&sim, NULL, 19);
    sim_steps(&sim, 500);
    sim.heat[0] = 300;
    sim_steps(&sim, 40);
    sim.heat[3] = 300;
    sim_steps(&sim, 10);
    alerts_stalled(sim.alerts, 2e9, 75, 60, sim_record, &sim);
    size_t before = sim.n, resolved = 0, cancelled = 0;
    alerts_end(sim.alerts, 3e9, sim_record, &sim);
    for (size_t i = before; i < sim.n; i++) {
        resolved += sim.changes[i].state == ALERT_RESOLVED;
        cancelled += sim.changes[i].cancelled;
        ck_assert_double_eq_tol(sim.changes[i].time, 3e9, 1e-3);
    }
    ck_assert_uint_ge(resolved, 2);
    ck_assert_uint_ge(cancelled, 1);
    before = sim.n;
    alerts_end(sim.alerts, 3e9, sim_record, &sim);
    ck_assert_uint_eq(sim.n, before);
}
END_TEST

START_TEST(a_segment_warms_up_again) {
    sim_create_only(&sim, ~RULE_BIT(RULE_WEIGHT_UPDATE_RATIO), 20);
    sim_steps(&sim, 500);
    struct thermo_facts facts = facts_sgd(SIM_MU, 0.1);
    thermo_begin_segment(sim.thermo, &facts);
    alerts_begin_segment(sim.alerts);
    sim.next = 300;
    sim.gradient = 1e3;
    sim.loss = 50;
    sim_steps(&sim, 1000);
    ck_assert_uint_eq(sim.n, 0);
}
END_TEST

START_TEST(a_rule_switched_off_resolves) {
    struct rule rules[RULE_COUNT];
    sim_defaults(rules);
    rules[RULE_SHOCK].enabled = false;
    sim_create(&sim, rules, 21);
    sim_steps(&sim, 500);
    sim.heat[0] = 300;
    sim_steps(&sim, 50);
    ck_assert_uint_eq(sim_count(&sim, RULE_OVERHEATING, ALERT_FIRING), 1);
    rules[RULE_OVERHEATING].enabled = false;
    sim_set_rules(&sim, rules);
    sim_steps(&sim, 1);
    ck_assert_uint_eq(sim_count(&sim, RULE_OVERHEATING, ALERT_RESOLVED), 1);
    size_t n = sim.n;
    sim.heat[1] = 300;
    sim_steps(&sim, 100);
    ck_assert_uint_eq(sim.n, n);
}
END_TEST

START_TEST(a_rule_for_some_layers) {
    struct rule rules[RULE_COUNT];
    sim_defaults(rules);
    char glob[] = "fc*";
    rules[RULE_OVERHEATING].layer_glob = glob;
    sim_create(&sim, rules, 22);
    glob[0] = '?'; // read at once, not kept
    sim_steps(&sim, 500);
    sim.heat[1] = sim.heat[3] = 300;
    sim_steps(&sim, 100);
    ck_assert_uint_eq(sim_count(&sim, RULE_OVERHEATING, ALERT_FIRING), 1);
    ck_assert(sim_find(&sim, RULE_OVERHEATING, ALERT_FIRING)->layer == 1);
}
END_TEST

static void same_change(const struct alert_change *a, const struct alert_change *b) {
    ck_assert(a->rule == b->rule && a->layer == b->layer && a->severity == b->severity);
    ck_assert(a->state == b->state && a->cancelled == b->cancelled);
    ck_assert(a->since == b->since && a->step == b->step && same_bits(a->time, b->time));
    ck_assert(same_bits(a->value, b->value) && same_bits(a->threshold, b->threshold));
    ck_assert(a->group_rule == b->group_rule && a->group_layer == b->group_layer);
    ck_assert(a->group_since == b->group_since);
    ck_assert_str_eq(a->summary, b->summary);
}

static void spoil_gradient(struct feed *f) {
    feed_set(f, STAT_G_VAR, 1, (double)INFINITY);
}

static void troubles(struct sim *s) {
    sim_steps(s, 40);
    s->heat[2] = 100;
    sim_steps(s, 60);
    s->loss = 30;
    sim_steps(s, 130);
    s->loss = 1;
    s->spoil = spoil_gradient;
    sim_steps(s, 2);
    s->spoil = NULL;
    s->x[0] = 0.8;
    sim_steps(s, 400);
}

// Saved at one of several moments and loaded into a new one, which then tells the same.
START_TEST(saved_and_loaded_it_goes_on_the_same) {
    static struct sim other;
    static const int moments[] = {0, 100, 500, 515};
    sim_create(&sim, NULL, 24);
    sim_steps(&sim, moments[_i]);
    if (_i == 3) {
        sim.heat[1] = 1000; // in the middle of a pending alert
        sim_steps(&sim, 10);
    }
    sim_create(&other, NULL, 24);
    struct thermo *thermo = other.thermo;
    struct alerts *alerts = other.alerts;
    size_t size = alerts_saved_size(sim.alerts), thermo_size = thermo_saved_size(sim.thermo);
    void *bytes = malloc(size), *thermo_bytes = malloc(thermo_size);
    alerts_save(sim.alerts, bytes);
    thermo_save(sim.thermo, thermo_bytes);
    other = sim;
    other.thermo = thermo;
    other.alerts = alerts;
    ck_assert(alerts_load(other.alerts, bytes, size));
    ck_assert(thermo_load(other.thermo, thermo_bytes, thermo_size));
    troubles(&sim);
    troubles(&other);
    ck_assert_uint_ge(sim.n, 1);
    ck_assert_uint_eq(sim.n, other.n);
    for (size_t i = 0; i < sim.n; i++) {
        same_change(&sim.changes[i], &other.changes[i]);
    }
    free(bytes);
    free(thermo_bytes);
    sim_destroy(&other);
}
END_TEST

START_TEST(bytes_of_another_kind_are_refused) {
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct ruleset *rules = ruleset_default();
    sim_create(&sim, NULL, 25);
    sim_steps(&sim, 300);
    size_t size = alerts_saved_size(sim.alerts);
    unsigned char *bytes = malloc(size);
    alerts_save(sim.alerts, bytes);
    struct alerts *larger =
        alerts_create(rules, &(struct alerts_facts){.n_layers = 5, .layer_names = names});
    ruleset_release(rules);
    ck_assert(!alerts_load(larger, bytes, size));
    ck_assert(!alerts_load(sim.alerts, bytes, size - 1));
    for (size_t at = 0; at < size; at += at < 64 ? 1 : 97) {
        bytes[at] ^= 0x41;
        ck_assert_msg(!alerts_load(sim.alerts, bytes, size), "byte %zu", at);
        bytes[at] ^= 0x41;
    }
    ck_assert(alerts_load(sim.alerts, bytes, size));
    alerts_destroy(larger);
    alerts_destroy(NULL);
    free(bytes);
}
END_TEST

START_TEST(rules_have_names_and_sense) {
    struct rule rules[RULE_COUNT];
    enum rule_id id;
    sim_create(&sim, NULL, 26);
    sim_defaults(rules);
    for (enum rule_id r = 0; r < RULE_COUNT; r++) {
        ck_assert(rule_find(rule_name(r), &id) && id == r);
        ck_assert(rules[r].id == r && rules[r].enabled == (r != RULE_EXPLODING_TENSOR) &&
                  rules[r].layer_glob == NULL);
        ck_assert(strlen(rule_help(r)) > 40);
    }
    ck_assert(!rule_find("", &id) && !rule_find("unstabl", &id));
    ck_assert_str_eq(severity_name(SEVERITY_CRITICAL), "critical");
    ck_assert_str_eq(alert_state_name(ALERT_RESOLVED), "resolved");
}
END_TEST

int main(void) {
    Suite *s = suite_create("alerts' state");
    TCase *t = tcase_create("state");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, silence_is_told_once_and_ends_with_a_step);
    tcase_add_test(t, skipped_steps_are_counted);
    tcase_add_test(t, skipped_steps_hide_no_fault);
    tcase_add_test(t, the_end_closes_what_is_open);
    tcase_add_test(t, a_segment_warms_up_again);
    tcase_add_test(t, a_rule_switched_off_resolves);
    tcase_add_test(t, a_rule_for_some_layers);
    tcase_add_loop_test(t, saved_and_loaded_it_goes_on_the_same, 0, 4);
    tcase_add_test(t, bytes_of_another_kind_are_refused);
    tcase_add_test(t, rules_have_names_and_sense);
    suite_add_tcase(s, t);
    return feed_main(s);
}
