// Orchestration: every rule's finding of the step meets the life of its alert, and what changes is
// told.
#include "alerts/alerts.h"
#include "alerts/state.h"

#include "base/check.h"
#include "base/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PACE_WARMUP_STEPS 256 // of an attempt, before a learning rate counts as proven
#define BATCH_STEPS 5         // in a row: an odd batch now and then is no change of the batch size
#define BATCH_CHANGE 0.25     // of its logarithm

void alerts_set_rules(struct alerts *a, struct ruleset *rules) {
    struct ruleset *before = a->rules;
    a->rules = ruleset_hold(rules);
    ruleset_release(before);
    pick_rules(a);
}

static void watch_clear(struct watch *w) {
    memset(w, 0, sizeof *w);
    w->step = w->group_fired = -1;
    w->batch = num_missing();
    w->pace.lr = num_missing();
}

static char *copy(const char *text) {
    char *s = must_copy(text);
    CHECK(s != NULL || text == NULL);
    return s;
}

struct alerts *alerts_create(struct ruleset *rules, const struct alerts_facts *facts) {
    struct alerts *a = NEW(struct alerts);
    size_t n = a->n_layers = facts->n_layers;
    a->run = copy(facts->run);
    a->project = copy(facts->project);
    a->names = must_alloc((n + 1) * sizeof *a->names);
    a->scopes = must_alloc((n + 1) * sizeof *a->scopes);
    a->findings = must_alloc((n + 1) * sizeof *a->findings);
    a->lives = must_alloc((n + 1) * sizeof *a->lives);
    a->sizes = must_alloc((n + 1) * sizeof *a->sizes);
    for (size_t i = 0; i < n; i++) {
        a->names[i] = copy(facts->layer_names[i]);
    }
    watch_clear(&a->watch);
    alerts_set_rules(a, rules);
    return a;
}

void alerts_destroy(struct alerts *a) {
    if (!a) {
        return;
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        free(a->names[i]);
    }
    ruleset_release(a->rules);
    free(a->run);
    free(a->project);
    free(a->names);
    free(a->pick);
    free(a->scopes);
    free(a->own);
    free(a->findings);
    free(a->lives);
    free(a->sizes);
    free(a);
}

static void judge_nonfinite(const struct teller *to, bool finite) {
    struct alerts *a = to->a;
    struct watch *w = &a->watch;
    size_t index = w->nonfinite.layer == UINT64_MAX ? a->n_layers : (size_t)w->nonfinite.layer;
    const struct rule *rule = rule_for(a, RULE_LOSS_NONFINITE, index);
    struct finding f = {.clear = finite, .value = w->nonfinite.run};
    if (rule) {
        f.fire = !finite && w->nonfinite.run > rule->fire_above;
        f.severity = rule->severity;
        f.threshold = rule->fire_above;
    }
    tell_finding(to, RULE_LOSS_NONFINITE, index, &f);
}

// Any NaN or infinity at all; loss_nonfinite says where it began.
static void judge_exploding(const struct teller *to, bool finite) {
    struct alerts *a = to->a;
    const struct rule *rule = rule_for(a, RULE_EXPLODING_TENSOR, a->n_layers);
    struct finding f = {.fire = !finite, .clear = finite, .value = a->watch.nonfinite.run};
    f.severity = rule ? rule->severity : SEVERITY_INFO;
    tell_finding(to, RULE_EXPLODING_TENSOR, a->n_layers, &f);
}

// Another batch size is another scale of everything that moves: the windows start anew. How far
// one step lies from the next is known still; it is more where a batch averages over less.
static void follow_batch(struct alerts *a, double batch_size) {
    struct watch *w = &a->watch;
    if (!(batch_size > 0) || isinf(batch_size)) {
        return;
    }
    double x = log(batch_size);
    if (isnan(w->batch)) {
        w->batch = x;
    }
    w->batch_steps = fabs(x - w->batch) > BATCH_CHANGE ? w->batch_steps + 1 : 0;
    if (w->batch_steps >= BATCH_STEPS) {
        double widen = exp(fmax(w->batch - x, 0) / 2);
        w->batch = x;
        w->batch_steps = 0;
        for (size_t i = 0; i < a->n_layers; i++) {
            measure_move(&a->scopes[i], widen);
        }
        memset(&w->gain, 0, sizeof w->gain);
        memset(&w->stair, 0, sizeof w->stair);
    }
}

static void judge_run(const struct teller *to, struct look *look, unsigned rule) {
    struct alerts *a = to->a;
    struct finding f = {.clear = true};
    look->rule = rule_for(a, rule, a->n_layers);
    if (look->rule) {
        look->warmed_up = a->watch.seen > look->rule->warmup_steps;
        builtins[rule].look(look, &f);
    }
    tell_finding(to, rule, a->n_layers, &f);
}

static void look_at_layers(struct look *look, unsigned rule, struct crowd *crowd) {
    struct alerts *a = look->a;
    bool is_common = a->is_common[rule];
    const struct rule *common = is_common ? rule_for(a, rule, 0) : NULL;
    for (size_t i = 0; i < a->n_layers; i++) {
        struct finding *f = &a->findings[i];
        *f = (struct finding){.clear = true};
        look->layer = i;
        look->scope = &a->scopes[i];
        look->rule = is_common ? common : rule_for(a, rule, i);
        if (look->rule) {
            look->warmed_up = a->watch.seen > look->rule->warmup_steps;
            builtins[rule].look(look, f);
            crowd_add(crowd, f);
        }
    }
    look->layer = THERMO_GLOBAL;
    look->scope = NULL;
}

// The whole run first: while its alert fires, no layer begins one of the same rule.
static void judge_layers(const struct teller *to, struct look *look, unsigned rule) {
    struct alerts *a = to->a;
    struct crowd *crowd = &a->watch.crowds[rule];
    *crowd = (struct crowd){0};
    look_at_layers(look, rule, crowd);
    const struct rule *of_run = rule_for(a, rule, a->n_layers);
    struct finding whole = {.clear = true};
    if (of_run) {
        whole = crowd_finding(crowd);
    }
    tell_finding(to, rule, a->n_layers, &whole);
    bool is_whole = builtins[rule].reach == REACH_CROWD || life_is_firing(&a->watch.lives[rule]);
    if (crowd->hot == 0 && a->open == 0) {
        return; // nothing to begin and nothing to end
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        struct finding *f = &a->findings[i];
        f->fire = f->fire && !is_whole;
        tell_finding(to, rule, i, f);
    }
}

static void judge_own(const struct teller *to, struct look *look, unsigned own) {
    struct alerts *a = to->a;
    unsigned rule = RULE_COUNT + own;
    const struct metric_source *m = &a->sources[own];
    bool is_gone = m->kind == METRIC_KIND_NONE; // what is open must end
    size_t first = is_gone || metric_of_layers(m) ? 0 : a->n_layers;
    size_t end = is_gone || metric_of_run(m) ? a->n_layers + 1 : a->n_layers;
    for (size_t i = first; i < end; i++) {
        struct finding f = {.clear = true};
        look->rule = rule_for(a, rule, i);
        if (look->rule) {
            look->layer = i < a->n_layers ? i : THERMO_GLOBAL;
            look->warmed_up = a->watch.seen > look->rule->warmup_steps;
            own_look(look, own, i, &f);
        }
        tell_finding(to, rule, i, &f);
    }
    look->layer = THERMO_GLOBAL;
}

// The learning rate in force; a run that never names one has a constant one, whatever it is.
static double learning_rate(const struct watch *w, double lr) {
    if (!num_is_missing(lr)) {
        return lr;
    }
    return isnan(w->pace.lr) ? 1 : w->pace.lr;
}

// Finds out whether the step can be used. An open alert stays with the layer it began at.
static bool look_for_nonfinite(struct alerts *a, const struct thermo_step *step) {
    struct watch *w = &a->watch;
    struct nonfinite before = w->nonfinite;
    size_t index = before.layer == UINT64_MAX ? a->n_layers : (size_t)before.layer;
    const struct life *l = life_find(a, RULE_LOSS_NONFINITE, index, false);
    bool finite = nonfinite_observe(&w->nonfinite, step, a->n_layers);
    if (l && l->phase != LIFE_IDLE) {
        w->nonfinite.layer = before.layer;
        w->nonfinite.others = before.others;
        w->nonfinite.what = before.what;
    }
    return finite;
}

static bool nonfinite_is_idle(struct alerts *a) {
    size_t bad = (size_t)a->watch.nonfinite.layer;
    size_t index = a->watch.nonfinite.layer == UINT64_MAX ? a->n_layers : bad;
    const struct life *l = life_find(a, RULE_LOSS_NONFINITE, index, false);
    return !l || l->phase == LIFE_IDLE;
}

static void judge_step(const struct teller *to, const struct thermo *t,
                       const struct alerts_input *in) {
    struct alerts *a = to->a;
    struct look look = {.a = a, .layer = THERMO_GLOBAL, .thermo = t, .in = in};
    measure_layers(a, in->step);
    for (unsigned rule = 0; rule < RULE_COUNT; rule++) {
        if (builtins[rule].reach == REACH_RUN) {
            judge_run(to, &look, rule);
        } else if (builtins[rule].reach != REACH_APART) {
            judge_layers(to, &look, rule);
        }
    }
    for (unsigned own = 0; own < a->n_own; own++) {
        if (a->watch.own_names[own][0] != '\0') {
            judge_own(to, &look, own);
        }
    }
}

void alerts_observe(struct alerts *a, const struct thermo *t, const struct alerts_input *in,
                    alert_change_fn *changed, void *context) {
    struct watch *w = &a->watch;
    struct teller to = {.a = a, .time = in->time, .changed = changed, .context = context};
    const struct thermo_step *step = in->step;
    w->step = step->step;
    w->time = in->time;
    tell_end(&to, RULE_STALLED, a->n_layers);
    if (skipped_judge(&to, t, step->loss)) {
        return; // neither a fault nor something to learn from
    }
    bool finite = look_for_nonfinite(a, step);
    judge_nonfinite(&to, finite);
    judge_exploding(&to, finite);
    if (finite && nonfinite_is_idle(a)) {
        w->nonfinite.diverged = false;
    }
    if (w->nonfinite.diverged) {
        tell_end_all(&to, true);
    }
    if (!finite || w->nonfinite.diverged) {
        return; // no estimator may take in what such a step brings
    }
    w->seen++;
    pace_observe(&w->pace, learning_rate(w, step->lr), w->seen > PACE_WARMUP_STEPS);
    follow_batch(a, step->batch_size);
    judge_step(&to, t, in);
}

void alerts_stalled(struct alerts *a, double time, double silent_s, double threshold_s,
                    alert_change_fn *changed, void *context) {
    struct teller to = {.a = a, .time = time, .changed = changed, .context = context};
    const struct rule *in_force = rule_for(a, RULE_STALLED, a->n_layers);
    struct life *l = life_find(a, RULE_STALLED, a->n_layers, true);
    if (!in_force || life_is_firing(l)) {
        return;
    }
    struct rule rule = *in_force;
    rule.for_steps = 1; // steps are what does not come
    rule.for_seconds = 0;
    l->quiet_until = INT64_MIN;
    struct finding f = {
        .fire = true, .severity = rule.severity, .value = silent_s, .threshold = threshold_s};
    tell_event(&to, a->n_layers, l, life_step(l, &rule, a->watch.step, time, &f));
}

void alerts_end(struct alerts *a, double time, alert_change_fn *changed, void *context) {
    struct teller to = {.a = a, .time = time, .changed = changed, .context = context};
    tell_end_all(&to, false);
}

void alerts_begin_segment(struct alerts *a) {
    struct watch *w = &a->watch, old = *w;
    watch_clear(w);
    w->step = old.step;
    w->time = old.time;
    w->signed_loss = old.signed_loss;
    w->pace.proven = old.pace.proven;
    w->course = old.course;
    w->nonfinite = old.nonfinite;
    memcpy(w->lives, old.lives, sizeof w->lives);
    memcpy(w->own_names, old.own_names, sizeof w->own_names);
    // Steps may be counted from earlier on: what was quiet until a later one is so no more.
    for (unsigned rule = 0; rule < RULES_MAX; rule++) {
        w->lives[rule].quiet_until = INT64_MIN;
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        struct scope *s = &a->scopes[i];
        measure_begin(s);
        baseline_make_stale(&s->stability);
        for (size_t k = 0; k < SCOPE_LIVES; k++) {
            a->lives[i].of[k].quiet_until = INT64_MIN;
        }
    }
}
