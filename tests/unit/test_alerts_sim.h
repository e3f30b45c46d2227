// A made-up run for the tests of alerts/: heavy-ball SGD whose stability fractions, heat and loss
// the test chooses step by step, its thermometers, its alerts, and a record of what changed.
#ifndef TESTS_UNIT_TEST_ALERTS_SIM_H
#define TESTS_UNIT_TEST_ALERTS_SIM_H

#include "test_probes_feed.h"

#include "alerts/alerts.h"

#define SIM_LAYERS 4
#define SIM_CHANGES_MAX 512
#define SIM_MU 0.9

struct sim {
    struct thermo *thermo;
    struct alerts *alerts;
    struct feed feed;
    struct dice dice;
    int64_t next; // step
    double lr, batch, loss, loss_noise;
    double x[SIM_LAYERS], heat[SIM_LAYERS], gradient;
    void (*spoil)(struct feed *f); // changes the step before it is judged
    size_t n;
    struct alert_change changes[SIM_CHANGES_MAX];
};

static inline void sim_record(void *context, const struct alert_change *change) {
    struct sim *s = context;
    ck_assert_uint_lt(s->n, SIM_CHANGES_MAX);
    ck_assert(strlen(change->summary) > 10);
    s->changes[s->n++] = *change;
}

static inline void sim_defaults(struct rule rules[RULE_COUNT]) {
    for (enum rule_id id = 0; id < RULE_COUNT; id++) {
        rules[id] = rule_default(id);
    }
}

static inline void sim_create(struct sim *s, const struct rule rules[RULE_COUNT], uint64_t seed) {
    static const char *const names[SIM_LAYERS] = {"fc1", "fc2", "conv", "head"};
    static const double sizes[SIM_LAYERS] = {1000, 1000, 500, 100};
    struct thermo_facts facts = facts_sgd(SIM_MU, 0.1);
    *s = (struct sim){.dice = {seed}, .lr = 0.1, .batch = 64, .loss = 1, .loss_noise = 0.1};
    s->gradient = 1;
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        s->heat[i] = 1;
    }
    s->thermo = thermo_create(&facts, SIM_LAYERS, sizes);
    struct alerts_facts alert_facts = {
        .run = "sim", .project = "tests", .n_layers = SIM_LAYERS, .layer_names = names};
    struct ruleset *set = rules ? ruleset_create(rules, RULE_COUNT) : ruleset_default();
    s->alerts = alerts_create(set, &alert_facts);
    ruleset_release(set);
}

// With none but the rules of the mask.
#define RULE_BIT(rule) (UINT64_C(1) << (rule))
static inline void sim_create_only(struct sim *s, uint64_t mask, uint64_t seed) {
    struct rule rules[RULE_COUNT];
    sim_defaults(rules);
    for (unsigned id = 0; id < RULE_COUNT; id++) {
        rules[id].enabled = (mask >> id & 1) != 0;
    }
    sim_create(s, rules, seed);
}

static inline void sim_set_rules(struct sim *s, const struct rule rules[RULE_COUNT]) {
    struct ruleset *set = ruleset_create(rules, RULE_COUNT);
    alerts_set_rules(s->alerts, set);
    ruleset_release(set);
}

static inline void sim_destroy(struct sim *s) {
    thermo_destroy(s->thermo);
    alerts_destroy(s->alerts);
}

// |g|^2 is noisy, and |dw|^2 follows from it and the stability fraction that is to be read, about;
// heat multiplies both, which changes no stability.
static inline void sim_layer(struct sim *s, size_t i) {
    double ratio = s->x[i] * 2 * (1 + SIM_MU) * SIM_MU + 1 - SIM_MU * SIM_MU;
    double g2 = s->gradient * s->heat[i] * exp(0.3 * dice_normal(&s->dice));
    feed_weights(&s->feed, i, 1);
    feed_gradient(&s->feed, i, g2);
    ratio *= exp(0.1 * dice_normal(&s->dice));
    feed_update(&s->feed, i, s->lr * s->lr * g2 / ratio);
}

static inline void sim_steps(struct sim *s, int n) {
    for (int k = 0; k < n; k++, s->next++) {
        feed_clear(&s->feed, s->next);
        s->feed.step.loss = s->loss + fabs(s->loss) * s->loss_noise * dice_normal(&s->dice);
        s->feed.step.lr = s->lr;
        s->feed.step.batch_size = s->batch;
        for (size_t i = 0; i < SIM_LAYERS; i++) {
            sim_layer(s, i);
        }
        if (s->spoil) {
            s->spoil(&s->feed);
        }
        thermo_observe(s->thermo, &s->feed.step);
        struct alerts_input in = {.step = &s->feed.step,
                                  .time = 1e9 + (double)s->next,
                                  .val_loss = num_missing(),
                                  .loss_after = num_missing()};
        alerts_observe(s->alerts, s->thermo, &in, sim_record, s);
    }
}

static inline void sim_all_x(struct sim *s, double x) {
    for (size_t i = 0; i < SIM_LAYERS; i++) {
        s->x[i] = x;
    }
}

static inline size_t sim_count(const struct sim *s, enum rule_id rule, enum alert_state state) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        n += s->changes[i].rule == rule && s->changes[i].state == state && !s->changes[i].cancelled;
    }
    return n;
}

// The first of its kind; the test fails when there is none.
static inline const struct alert_change *sim_find(const struct sim *s, enum rule_id rule,
                                                  enum alert_state state) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->changes[i].rule == rule && s->changes[i].state == state &&
            !s->changes[i].cancelled) {
            return &s->changes[i];
        }
    }
    ck_abort_msg("%s never became %s", rule_name(rule), alert_state_name(state));
    return NULL;
}

static inline void sim_expect_only(const struct sim *s, enum rule_id rule) {
    for (size_t i = 0; i < s->n; i++) {
        ck_assert_msg(s->changes[i].rule == rule, "%s", s->changes[i].summary);
    }
}

static inline void sim_expect_text(const struct alert_change *change, const char *part) {
    ck_assert_msg(strstr(change->summary, part), "'%s' has no '%s'", change->summary, part);
}

#endif
