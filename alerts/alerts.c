// Orchestration: every rule's finding of the step meets the life of its alert, and what changes is
// told.
#include "alerts/alerts.h"
#include "alerts/state.h"

#include "base/check.h"
#include "base/num.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_STEPS 20    // alerts that begin this soon after a group's first belong to it
#define BATCH_STEPS 5     // in a row: an odd batch now and then is no change of the batch size
#define BATCH_CHANGE 0.25 // of its logarithm

// Where changes go while one step is judged.
struct teller {
    struct alerts *a;
    double time;
    alert_change_fn *changed;
    void *context;
};

static bool applies(const struct alerts *a, enum rule_id rule, size_t layer) {
    return a->rules[rule].enabled && ((unsigned)a->applies[layer] >> (unsigned)rule & 1u);
}

void alerts_set_rules(struct alerts *a, const struct rule rules[RULE_COUNT]) {
    memcpy(a->rules, rules, sizeof a->rules);
    memset(a->applies, 0, a->n_layers + 1);
    for (unsigned r = 0; r < RULE_COUNT; r++) {
        const char *glob = a->rules[r].layer_glob;
        for (size_t i = 0; i < a->n_layers; i++) {
            bool match = !glob || fnmatch(glob, a->names[i], 0) == 0;
            a->applies[i] = (uint8_t)(a->applies[i] | (match ? 1u << r : 0));
        }
        a->applies[a->n_layers] = (uint8_t)(a->applies[a->n_layers] | (glob ? 0 : 1u << r));
        a->rules[r].layer_glob = NULL; // the configuration may go; what it said is kept
    }
}

static void watch_clear(struct watch *w) {
    memset(w, 0, sizeof *w);
    w->step = w->group_fired = -1;
    w->batch = num_missing();
    w->pace.lr = num_missing();
}

struct alerts *alerts_create(const struct rule rules[RULE_COUNT], size_t n_layers,
                             const char *const *layer_names) {
    struct alerts *a = NEW(struct alerts);
    a->n_layers = n_layers;
    a->names = calloc(n_layers + 1, sizeof *a->names);
    a->applies = calloc(n_layers + 1, sizeof *a->applies);
    a->scopes = calloc(n_layers + 1, sizeof *a->scopes);
    a->findings = calloc((n_layers + 1) * LAYER_RULES, sizeof *a->findings);
    CHECK(a->names != NULL && a->applies != NULL && a->scopes != NULL && a->findings != NULL);
    for (size_t i = 0; i < n_layers; i++) {
        a->names[i] = strdup(layer_names[i]);
        CHECK(a->names[i] != NULL);
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
    free(a->names);
    free(a->applies);
    free(a->scopes);
    free(a->findings);
    free(a);
}

static size_t scope_layer(const struct alerts *a, size_t index) {
    return index < a->n_layers ? index : THERMO_GLOBAL;
}

static const enum rule_id layer_rules[LAYER_RULES] = {
    [LAYER_UNSTABLE] = RULE_UNSTABLE, [LAYER_OVERHEATING] = RULE_OVERHEATING};

static struct life *lives_of(struct alerts *a, size_t index) {
    return index < a->n_layers ? a->scopes[index].lives : a->watch.lives;
}

// Whether the first alert of the newest group is one of this rule and still fires.
static bool group_goes_on(struct alerts *a, enum rule_id rule) {
    const struct watch *w = &a->watch;
    for (size_t k = 0; k < LAYER_RULES; k++) {
        if (layer_rules[k] == rule && w->group_rule == rule) {
            size_t index = w->group_layer < a->n_layers ? (size_t)w->group_layer : a->n_layers;
            const struct life *first = &lives_of(a, index)[k];
            return life_is_firing(first) && first->since == w->group_since;
        }
    }
    return false;
}

// An alert fires: it joins the newest group when its condition began about when that one's first
// alert fired, or when that is one of the same rule and still fires; else it is the first of its
// own.
static void join_group(struct alerts *a, enum rule_id rule, size_t layer, struct life *l) {
    struct watch *w = &a->watch;
    bool is_near = w->group_fired >= 0 && l->since - w->group_fired <= GROUP_STEPS;
    if (!is_near && !group_goes_on(a, rule)) {
        w->group_rule = rule;
        w->group_layer = layer;
        w->group_since = l->since;
        w->group_fired = l->fired;
    }
    l->group_rule = (uint8_t)w->group_rule;
    l->group_layer = w->group_layer;
    l->group_since = w->group_since;
}

static void tell(const struct teller *to, enum rule_id rule, size_t layer, struct life *l,
                 enum life_event event) {
    struct alerts *a = to->a;
    if (event == LIFE_NOTHING) {
        return;
    }
    if (event == LIFE_BEGAN) {
        l->group_rule = (uint8_t)rule;
        l->group_layer = layer;
        l->group_since = l->since;
    } else if (event == LIFE_FIRED) {
        join_group(a, rule, layer, l);
    }
    bool is_pending = event == LIFE_BEGAN || event == LIFE_CANCELLED;
    struct alert_change change = {
        .rule = rule,
        .layer = layer,
        .severity = (enum severity)l->severity,
        .state = is_pending               ? ALERT_PENDING
                 : event == LIFE_RESOLVED ? ALERT_RESOLVED
                                          : ALERT_FIRING,
        .cancelled = event == LIFE_CANCELLED,
        .since = l->since,
        .step = l->fired,
        .time = to->time,
        .value = l->value,
        .threshold = l->threshold,
        .group_rule = (enum rule_id)l->group_rule,
        .group_layer = (size_t)l->group_layer,
        .group_since = l->group_since,
    };
    struct story story = {
        .layer = layer == THERMO_GLOBAL ? NULL : a->names[layer],
        .watch = &a->watch,
        .scope = layer == THERMO_GLOBAL ? NULL : &a->scopes[layer],
        .crowd = rule == RULE_UNSTABLE      ? &a->watch.crowds[LAYER_UNSTABLE]
                 : rule == RULE_OVERHEATING ? &a->watch.crowds[LAYER_OVERHEATING]
                                            : NULL,
    };
    summary_write(change.summary, rule, l, event, &story);
    to->changed(to->context, &change);
}

static void live(const struct teller *to, enum rule_id rule, size_t index, struct life *l,
                 const struct finding *f) {
    bool idle = l->phase == LIFE_IDLE && !f->fire;
    if (!idle && !f->unknown) {
        struct alerts *a = to->a;
        int64_t step = a->watch.step;
        enum life_event event =
            applies(a, rule, index) ? life_step(l, &a->rules[rule], step, f) : life_end(l, step);
        tell(to, rule, scope_layer(a, index), l, event);
    }
}

static void end(const struct teller *to, enum rule_id rule, size_t layer, struct life *l) {
    tell(to, rule, layer, l, life_end(l, to->a->watch.step));
}

static void end_all(const struct teller *to, bool only_pending) {
    struct alerts *a = to->a;
    for (size_t i = 0; i <= a->n_layers; i++) {
        for (size_t k = 0; k < LAYER_RULES; k++) {
            struct life *l = &lives_of(a, i)[k];
            if (!only_pending || l->phase == LIFE_PENDING) {
                end(to, layer_rules[k], scope_layer(a, i), l);
            }
        }
    }
}

static void judge_nonfinite(const struct teller *to, bool finite) {
    struct alerts *a = to->a;
    struct watch *w = &a->watch;
    const struct rule *rule = &a->rules[RULE_LOSS_NONFINITE];
    struct finding f = {.fire = !finite && w->nonfinite.run > rule->fire_above,
                        .clear = finite,
                        .severity = rule->severity,
                        .value = w->nonfinite.run,
                        .threshold = rule->fire_above};
    struct life *l = &w->nonfinite_life;
    bool whole = w->nonfinite.layer == UINT64_MAX;
    size_t index = whole ? a->n_layers : (size_t)w->nonfinite.layer;
    enum life_event event = applies(a, RULE_LOSS_NONFINITE, index) ? life_step(l, rule, w->step, &f)
                                                                   : life_end(l, w->step);
    tell(to, RULE_LOSS_NONFINITE, scope_layer(a, index), l, event);
}

// Another batch size is another scale of everything that moves: the windows start anew.
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
        w->batch = x;
        w->batch_steps = 0;
        for (size_t i = 0; i < a->n_layers; i++) {
            memset(&a->scopes[i].movement, 0, sizeof a->scopes[i].movement);
        }
    }
}

static double mean_square(const struct thermo_step *step, enum statistic mean, enum statistic var,
                          size_t layer) {
    const double *m = step->stat[mean], *v = step->stat[var];
    return m && v ? m[layer] * m[layer] + v[layer] : num_missing();
}

// What the rules find at one layer.
static void observe_layer(struct alerts *a, const struct thermo *t, const struct thermo_step *step,
                          size_t layer, struct finding findings[LAYER_RULES]) {
    struct watch *w = &a->watch;
    struct scope *s = &a->scopes[layer];
    const struct rule *unstable = &a->rules[RULE_UNSTABLE];
    const struct rule *overheating = &a->rules[RULE_OVERHEATING];
    unstable_observe(s, unstable, &w->pace, thermo_value(t, layer, METRIC_STABILITY),
                     w->seen > unstable->warmup_steps, &findings[LAYER_UNSTABLE]);
    double weight2 = mean_square(step, STAT_W_MEAN, STAT_W_VAR, layer);
    bool open = s->lives[LAYER_OVERHEATING].phase != LIFE_IDLE ||
                w->lives[LAYER_OVERHEATING].phase != LIFE_IDLE;
    if (w->batch_steps > 0) {
        findings[LAYER_OVERHEATING] = (struct finding){.unknown = true};
        return;
    }
    overheating_observe(s, overheating, mean_square(step, STAT_U_MEAN, STAT_U_VAR, layer),
                        weight2 > 0 ? weight2 : 0, w->pace.lr, w->seen > overheating->warmup_steps,
                        open, &findings[LAYER_OVERHEATING]);
}

// The whole run first: while its alert fires, no layer begins one of the same rule.
static void judge_layers(const struct teller *to, const struct thermo *t,
                         const struct thermo_step *step) {
    struct alerts *a = to->a;
    struct watch *w = &a->watch;
    memset(w->crowds, 0, sizeof w->crowds);
    for (size_t i = 0; i < a->n_layers; i++) {
        struct finding *findings = &a->findings[i * LAYER_RULES];
        observe_layer(a, t, step, i, findings);
        for (size_t k = 0; k < LAYER_RULES; k++) {
            crowd_add(&w->crowds[k], &findings[k]);
        }
    }
    for (size_t k = 0; k < LAYER_RULES; k++) {
        struct finding whole = crowd_finding(&w->crowds[k], &a->rules[layer_rules[k]]);
        live(to, layer_rules[k], a->n_layers, &w->lives[k], &whole);
        for (size_t i = 0; i < a->n_layers; i++) {
            struct finding *f = &a->findings[i * LAYER_RULES + k];
            f->fire = f->fire && !life_is_firing(&w->lives[k]);
            live(to, layer_rules[k], i, &a->scopes[i].lives[k], f);
        }
    }
}

// The learning rate in force; a run that never names one has a constant one, whatever it is.
static double learning_rate(const struct watch *w, double lr) {
    if (!num_is_missing(lr)) {
        return lr;
    }
    return isnan(w->pace.lr) ? 1 : w->pace.lr;
}

// Finds out whether the step can be used. An open alert stays with the layer it began at.
static bool look_for_nonfinite(struct watch *w, const struct thermo_step *step, size_t n_layers) {
    struct nonfinite before = w->nonfinite;
    bool finite = nonfinite_observe(&w->nonfinite, step, n_layers);
    if (w->nonfinite_life.phase != LIFE_IDLE) {
        w->nonfinite.layer = before.layer;
        w->nonfinite.others = before.others;
        w->nonfinite.what = before.what;
    }
    return finite;
}

void alerts_observe(struct alerts *a, const struct thermo *t, const struct thermo_step *step,
                    double time, alert_change_fn *changed, void *context) {
    struct watch *w = &a->watch;
    struct teller to = {.a = a, .time = time, .changed = changed, .context = context};
    w->step = step->step;
    w->time = time;
    end(&to, RULE_STALLED, THERMO_GLOBAL, &w->stalled_life);
    bool finite = look_for_nonfinite(w, step, a->n_layers);
    judge_nonfinite(&to, finite);
    if (finite && w->nonfinite_life.phase == LIFE_IDLE) {
        w->nonfinite.diverged = false;
    }
    if (w->nonfinite.diverged) {
        end_all(&to, true);
    }
    if (!finite || w->nonfinite.diverged) {
        return; // no estimator may take in what such a step brings
    }
    w->seen++;
    pace_observe(&w->pace, learning_rate(w, step->lr),
                 w->seen > a->rules[RULE_UNSTABLE].warmup_steps);
    follow_batch(a, step->batch_size);
    struct finding f;
    spike_observe(w, &a->rules[RULE_LOSS_SPIKE], step, a->n_layers, &f);
    live(&to, RULE_LOSS_SPIKE, a->n_layers, &w->spike_life, &f);
    judge_layers(&to, t, step);
}

void alerts_stalled(struct alerts *a, double time, double silent_s, double threshold_s,
                    alert_change_fn *changed, void *context) {
    struct teller to = {.a = a, .time = time, .changed = changed, .context = context};
    struct rule rule = a->rules[RULE_STALLED];
    struct life *l = &a->watch.stalled_life;
    if (!rule.enabled || life_is_firing(l)) {
        return;
    }
    rule.for_steps = 1; // steps are what does not come
    l->quiet_until = INT64_MIN;
    struct finding f = {
        .fire = true, .severity = rule.severity, .value = silent_s, .threshold = threshold_s};
    tell(&to, RULE_STALLED, THERMO_GLOBAL, l, life_step(l, &rule, a->watch.step, &f));
}

void alerts_end(struct alerts *a, double time, alert_change_fn *changed, void *context) {
    struct teller to = {.a = a, .time = time, .changed = changed, .context = context};
    struct watch *w = &a->watch;
    uint64_t bad = w->nonfinite.layer;
    end(&to, RULE_STALLED, THERMO_GLOBAL, &w->stalled_life);
    end(&to, RULE_LOSS_NONFINITE, bad == UINT64_MAX ? THERMO_GLOBAL : (size_t)bad,
        &w->nonfinite_life);
    end(&to, RULE_LOSS_SPIKE, THERMO_GLOBAL, &w->spike_life);
    end_all(&to, false);
}

void alerts_begin_segment(struct alerts *a) {
    struct watch *w = &a->watch, old = *w;
    watch_clear(w);
    w->step = old.step;
    w->time = old.time;
    w->signed_loss = old.signed_loss;
    w->pace.proven = old.pace.proven;
    w->nonfinite = old.nonfinite;
    w->nonfinite_life = old.nonfinite_life;
    w->spike_life = old.spike_life;
    w->stalled_life = old.stalled_life;
    memcpy(w->lives, old.lives, sizeof w->lives);
    for (size_t i = 0; i < a->n_layers; i++) {
        memset(&a->scopes[i].movement, 0, sizeof a->scopes[i].movement);
        baseline_make_stale(&a->scopes[i].stability);
    }
    // Steps may be counted from earlier on: what was quiet until a later one is so no more.
    w->nonfinite_life.quiet_until = w->spike_life.quiet_until = INT64_MIN;
    for (size_t i = 0; i <= a->n_layers; i++) {
        for (size_t k = 0; k < LAYER_RULES; k++) {
            lives_of(a, i)[k].quiet_until = INT64_MIN;
        }
    }
}
