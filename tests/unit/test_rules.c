// From the configuration's alerts.rules to the rules in force, and rules of the configuration's own
// on made-up runs.
#include "test_alerts_sim.h"

#include "alerts/oncall.h"
#include "runs/rules.h"

#include <stdio.h>
#include <unistd.h>

static struct sim sim;

static int load(const char *yaml, struct ruleset **rules, struct buf *messages) {
    char path[] = "/tmp/pyrometer-rules-XXXXXX";
    const char *names[RULE_COUNT + 1];
    struct config config;
    int fd = mkstemp(path);
    ck_assert(fd >= 0 && write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
    close(fd);
    buf_init(messages, 65536);
    int rc = config_load(&config, path, rules_names(names), messages);
    unlink(path);
    ck_assert_msg(rc == 0, "%s", buf_str(messages));
    *rules = rules_from_config(&config, messages);
    config_free(&config);
    return *rules ? 0 : -1;
}

static struct ruleset *good(const char *yaml) {
    struct ruleset *rules;
    struct buf messages;
    ck_assert_msg(load(yaml, &rules, &messages) == 0, "%s", buf_str(&messages));
    buf_free(&messages);
    return rules;
}

START_TEST(defaults_when_nothing_is_said) {
    struct ruleset *rules = good("alerts: {}\n");
    ck_assert_uint_eq(ruleset_count(rules), RULE_COUNT);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        struct rule want = rule_default((enum rule_id)i);
        const struct rule *got = ruleset_rule(rules, i);
        ck_assert_str_eq(got->name, want.name);
        ck_assert(got->for_steps == want.for_steps && got->severity == want.severity);
    }
    ruleset_release(rules);
}
END_TEST

START_TEST(an_entry_takes_the_defaults_place) {
    struct ruleset *rules =
        good("alerts:\n  rules:\n"
             "    - {rule: overheating, fire_above: 3, for: 90s, layer: 'fc*',\n"
             "       labels: {team: vision, b: c}}\n"
             "    - {rule: overheating, enabled: false, run: 'toy-*'}\n");
    ck_assert_uint_eq(ruleset_count(rules), RULE_COUNT + 1);
    const struct rule *r = ruleset_rule(rules, RULE_OVERHEATING);
    ck_assert_double_eq(r->fire_above, 3);
    ck_assert_double_le(r->clear_below, 3);
    ck_assert_double_eq(r->for_seconds, 90);
    ck_assert_uint_eq(r->for_steps, 1);
    ck_assert_str_eq(r->layer_glob, "fc*");
    ck_assert_str_eq(r->labels[0].key, "team");
    ck_assert_str_eq(r->labels[0].value, "vision");
    ck_assert_str_eq(r->labels[1].value, "c");
    ck_assert_ptr_null(r->labels[2].key);
    ck_assert_str_eq(ruleset_rule(rules, RULE_COUNT)->run_glob, "toy-*");
    ruleset_release(rules);
}
END_TEST

static const struct {
    const char *yaml, *message;
} mistakes[] = {
    {"alerts: {rules: [{rule: loss_spike, annotations: {note: 'of {{ $labels.lyer }}'}}]}\n",
     "alerts.rules[0].annotations: note: \"{{ $labels.lyer }}\" is not known"},
    {"alerts: {rules: [{rule: loss_spike, labels: {team: a}, annotations: {note: '{{ $value "
     "'}}]}\n",
     "no \"}}\" behind it"},
    {"alerts: {rules: [{rule: loss_spike, labels: {at: '{{ $value }}'}}]}\n",
     "alerts.rules[0].labels: at: receivers know an alert by its labels"},
    {"alerts: {rules: [{rule: overheating, clear_below: 99}]}\n",
     ":1: alerts.rules[0].clear_below: 99 is above fire_above 8, so that an alert would clear "},
    {"alerts:\n  rules:\n    - {rule: shock}\n    - {rule: mine, metric: loss}\n",
     ":4: alerts.rules[1].fire_above: neither it nor fire_below is there; expected one or both"},
    {"alerts: {rules: [{rule: mine, metric: loss, fire_below: 2, clear_above: 1}]}\n",
     ":1: alerts.rules[0].clear_above: 1 is under fire_below 2, so that"},
    {"alerts: {rules: [{rule: mine, metric: loss, fire_below: 2, fire_above: 1}]}\n",
     "fire_below: 2 is not under fire_above 1, so that every value would fire"},
    {"alerts: {rules: [{rule: overheating, metric: loss}]}\n",
     "[0].metric: overheating has its own measure"},
    {"alerts: {rules: [{rule: overheating, window: 3}]}\n", "expected no window with this rule"},
    {"alerts: {rules: [{rule: unstable, fire_below: 1}]}\n",
     "[0].fire_below: unstable looks to the other side; expected fire_above and clear"},
    {"alerts: {rules: [{rule: dead_relu, fire_above: 1}]}\n",
     "[0].fire_above: dead_relu looks to the other side; expected fire_below and clear"},
    {"alerts: {rules: [{rule: stalled, for: 5}]}\n", "expected alerts.stall_after in its place"},
    {"alerts: {rules: [{rule: loss_spike, layer: 'fc*'}]}\n",
     "[0].layer: loss_spike judges the whole run"},
    {"alerts: {rules: [{rule: mine, metric: scalar.x, layer: 'fc*', fire_above: 1}]}\n",
     "[0].layer: scalar.x is of the whole run"},
    {"alerts: {rules: [{rule: mine, metric: scalar., fire_above: 1}]}\n", "names no scalar"},
    {"alerts: {rules: [{rule: mine, metric: temperature.kinetik, fire_above: 1}]}\n",
     "\"temperature.kinetik\" is no temperature; expected transition, "},
    {"alerts: {rules: [{rule: shock, labels: {severity: page}}]}\n",
     "[0].labels: every alert has its own \"severity\"; expected another name"},
    {"alerts: {rules: [{rule: shock, window: 3}, {rule: freezing, window: 3}]}\n",
     "\n/"}, // all at once, a line each
};
#define MISTAKES (int)(sizeof mistakes / sizeof *mistakes)

START_TEST(someone_on_call_is_told_of_each_rule) {
    for (enum rule_id id = 0; id < RULE_COUNT; id++) {
        const struct oncall *o = oncall_find(rule_name(id));
        ck_assert_msg(o && strlen(o->means) > 20 && strlen(o->causes) > 5 && strlen(o->remedy) > 5,
                      "%s", rule_name(id));
    }
    ck_assert_ptr_null(oncall_find("mine"));
}
END_TEST

START_TEST(mistakes_are_told) {
    struct ruleset *rules;
    struct buf messages;
    ck_assert_int_eq(load(mistakes[_i].yaml, &rules, &messages), -1);
    ck_assert_msg(strstr(buf_str(&messages), mistakes[_i].message), "%s", buf_str(&messages));
    buf_free(&messages);
}
END_TEST

static void begin(const char *yaml, uint64_t seed) {
    sim_create(&sim, NULL, seed);
    struct ruleset *rules = good(yaml);
    alerts_set_rules(sim.alerts, rules);
    ruleset_release(rules);
}

// The alerts of that rule that fired, and of which layer the first was.
static size_t count_fired(const char *rule, size_t *layer) {
    size_t n = 0;
    for (size_t i = sim.n; i-- > 0;) {
        const struct alert_change *c = &sim.changes[i];
        if (c->rule >= RULE_COUNT && c->state == ALERT_FIRING && strstr(c->summary, rule)) {
            *layer = c->layer;
            n++;
        }
    }
    return n;
}

START_TEST(own_rules_on_the_run_and_on_layers) {
    size_t layer = 0;
    begin("alerts:\n  rules:\n"
          "    - {rule: high_loss, metric: loss, fire_above: 5, clear_below: 2, for: 3}\n"
          "    - {rule: strong_gradient, metric: g_var, fire_above: 1, layer: 'conv'}\n"
          "    - {rule: elsewhere, metric: loss, fire_above: 0, run: 'other-*'}\n"
          "    - {rule: here, metric: lr, fire_below: 0.05, project: 'te?ts', severity: info}\n",
          40);
    sim_steps(&sim, 10);
    ck_assert_uint_eq(count_fired("high_loss", &layer), 0);
    sim.loss = 10;
    sim_steps(&sim, 3);
    ck_assert_uint_eq(count_fired("high_loss", &layer), 1);
    ck_assert(layer == THERMO_GLOBAL);
    sim.loss = 1;
    sim.heat[2] = 1e6;
    sim_steps(&sim, 2);
    ck_assert_uint_eq(count_fired("strong_gradient", &layer), 1);
    ck_assert_uint_eq(layer, 2);
    ck_assert_uint_eq(count_fired("elsewhere", &layer), 0);
    sim.lr = 0.01;
    sim_steps(&sim, 1);
    ck_assert_uint_eq(count_fired("here", &layer), 1);
    sim_destroy(&sim);
}
END_TEST

START_TEST(own_rules_average) {
    size_t layer = 0;
    begin("alerts: {rules: [{rule: high_loss, metric: loss, fire_above: 3, window: 20}]}\n", 41);
    sim_steps(&sim, 60);
    sim.loss = 10;
    sim_steps(&sim, 2); // (58 + 2 * 10) / 60 would not do, nor 18 ones and two tens
    ck_assert_uint_eq(count_fired("high_loss", &layer), 0);
    sim_steps(&sim, 10);
    ck_assert_uint_eq(count_fired("high_loss", &layer), 1);
    sim_destroy(&sim);
}
END_TEST

// A rule that is no longer in the configuration ends its alerts under its own name, also when the
// state came from bytes; the others keep their numbers.
START_TEST(own_rules_come_and_go) {
    size_t layer = 0;
    begin("alerts: {rules: [{rule: first, metric: loss, fire_above: 5},\n"
          "                 {rule: second, metric: loss, fire_above: 5}]}\n",
          42);
    sim.loss = 10;
    sim_steps(&sim, 5);
    ck_assert_uint_eq(count_fired("first", &layer) + count_fired("second", &layer), 2);
    struct ruleset *rules =
        good("alerts: {rules: [{rule: third, metric: lr, fire_above: 9},\n"
             "                 {rule: second, metric: loss, fire_above: 5}]}\n");
    size_t size = alerts_saved_size(sim.alerts), n = sim.n;
    void *bytes = malloc(size);
    alerts_save(sim.alerts, bytes);
    static const char *const names[SIM_LAYERS] = {"fc1", "fc2", "conv", "head"};
    alerts_destroy(sim.alerts);
    sim.alerts =
        alerts_create(rules, &(struct alerts_facts){.n_layers = SIM_LAYERS, .layer_names = names});
    ck_assert(alerts_load(sim.alerts, bytes, size));
    sim_steps(&sim, 5);
    ck_assert_uint_eq(sim.n, n + 1);
    ck_assert(sim.changes[n].state == ALERT_RESOLVED);
    sim_expect_text(&sim.changes[n], "the condition of first");
    ck_assert_ptr_null(sim.changes[n].settings);
    sim.loss = 1;
    sim_steps(&sim, 5);
    ck_assert_uint_eq(sim.n, n + 2);
    sim_expect_text(&sim.changes[n + 1], "the condition of second");
    alerts_set_rules(sim.alerts, rules);
    ruleset_release(rules);
    free(bytes);
    sim_destroy(&sim);
}
END_TEST

int main(void) {
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("rules");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, defaults_when_nothing_is_said);
    tcase_add_test(t, an_entry_takes_the_defaults_place);
    tcase_add_test(t, someone_on_call_is_told_of_each_rule);
    tcase_add_loop_test(t, mistakes_are_told, 0, MISTAKES);
    tcase_add_test(t, own_rules_on_the_run_and_on_layers);
    tcase_add_test(t, own_rules_average);
    tcase_add_test(t, own_rules_come_and_go);
    suite_add_tcase(s, t);
    return feed_main(s);
}
