// The lives of a run's alerts, and what is told of them.
#include "alerts/state.h"

#include <string.h>

#define GROUP_STEPS 20 // alerts that begin this soon after a group's first belong to it

static struct life *find_in_scope(struct scope_lives *s, unsigned rule, int64_t step, bool wanted) {
    struct life *free_place = NULL;
    for (size_t k = 0; k < SCOPE_LIVES; k++) {
        struct life *l = &s->of[k];
        if (life_is_free(l, step)) {
            free_place = free_place ? free_place : l;
        } else if (l->rule == rule) {
            return l;
        }
    }
    if (wanted && free_place) {
        *free_place = (struct life){.rule = (uint8_t)rule};
        return free_place;
    }
    return NULL;
}

struct life *life_find(struct alerts *a, unsigned rule, size_t index, bool wanted) {
    if (index < a->n_layers) {
        return find_in_scope(&a->lives[index], rule, a->watch.step, wanted);
    }
    struct life *l = &a->watch.lives[rule];
    l->rule = (uint8_t)rule;
    return l;
}

void lives_changed(struct alerts *a, size_t layer) {
    uint64_t *open = &a->scopes[layer].open;
    a->open -= *open != 0;
    *open = 0;
    for (size_t k = 0; k < SCOPE_LIVES; k++) {
        const struct life *l = &a->lives[layer].of[k];
        *open |= l->phase != LIFE_IDLE ? UINT64_C(1) << l->rule : 0;
    }
    a->open += *open != 0;
}

bool is_open(const struct alerts *a, unsigned rule, size_t layer) {
    return (a->scopes[layer].open >> rule & 1) != 0;
}

static size_t layer_of(const struct alerts *a, size_t index) {
    return index < a->n_layers ? index : THERMO_GLOBAL;
}

// Whether the first alert of the newest group is one of this rule and still fires.
static bool group_goes_on(struct alerts *a, unsigned rule) {
    const struct watch *w = &a->watch;
    if (w->group_rule != rule || w->group_fired < 0) {
        return false;
    }
    size_t index = w->group_layer < a->n_layers ? (size_t)w->group_layer : a->n_layers;
    const struct life *first = life_find(a, rule, index, false);
    return first && life_is_firing(first) && first->since == w->group_since;
}

// An alert fires: it joins the newest group when its condition began about when that one's first
// alert fired, or when that is one of the same rule and still fires; else it is the first of its
// own.
static void join_group(struct alerts *a, size_t index, struct life *l) {
    struct watch *w = &a->watch;
    if (l->rule < RULE_COUNT && builtins[l->rule].initial.severity == SEVERITY_INFO) {
        return; // what only informs is nobody's cause
    }
    bool is_near = w->group_fired >= 0 && l->since - w->group_fired <= GROUP_STEPS;
    if (!is_near && !group_goes_on(a, l->rule)) {
        w->group_rule = l->rule;
        w->group_layer = layer_of(a, index);
        w->group_since = l->since;
        w->group_fired = l->fired;
    }
    l->group_rule = (uint8_t)w->group_rule;
    l->group_layer = w->group_layer;
    l->group_since = w->group_since;
}

static enum alert_state state_of(enum life_event event) {
    if (event == LIFE_BEGAN || event == LIFE_CANCELLED) {
        return ALERT_PENDING;
    }
    return event == LIFE_RESOLVED ? ALERT_RESOLVED : ALERT_FIRING;
}

void tell_event(const struct teller *to, size_t index, struct life *l, enum life_event event) {
    struct alerts *a = to->a;
    if (event == LIFE_NOTHING) {
        return;
    }
    if (index < a->n_layers) {
        lives_changed(a, index);
    }
    if (event == LIFE_BEGAN || event == LIFE_FIRED) {
        l->group_rule = l->rule;
        l->group_layer = layer_of(a, index);
        l->group_since = l->since;
    }
    if (event == LIFE_FIRED) {
        join_group(a, index, l);
    }
    struct alert_change change = {
        .rule = l->rule,
        .rule_name = rule_name_of(a, l->rule),
        .settings = rule_for(a, l->rule, index),
        .layer = layer_of(a, index),
        .severity = (enum severity)l->severity,
        .state = state_of(event),
        .cancelled = event == LIFE_CANCELLED,
        .since = l->since,
        .step = l->fired,
        .time = to->time,
        .value = l->value,
        .threshold = l->threshold,
        .group_rule = l->group_rule,
        .group_rule_name = rule_name_of(a, l->group_rule),
        .group_layer = (size_t)l->group_layer,
        .group_since = l->group_since,
    };
    struct story story = {
        .layer = index < a->n_layers ? a->names[index] : NULL,
        .a = a,
        .scope = index < a->n_layers ? &a->scopes[index] : NULL,
        .crowd = l->rule < RULE_COUNT ? &a->watch.crowds[l->rule] : NULL,
    };
    summary_write(change.summary, l->rule, l, event, &story);
    to->changed(to->context, &change);
}

void tell_finding(const struct teller *to, unsigned rule, size_t index, const struct finding *f) {
    struct alerts *a = to->a;
    bool is_idle = index < a->n_layers && !is_open(a, rule, index);
    if (f->unknown || (is_idle && !f->fire)) {
        return;
    }
    const struct rule *r = rule_for(a, rule, index);
    struct life *l = life_find(a, rule, index, f->fire && r);
    if (!l || (l->phase == LIFE_IDLE && !f->fire)) {
        return;
    }
    int64_t step = a->watch.step;
    tell_event(to, index, l, r ? life_step(l, r, step, to->time, f) : life_end(l, step));
}

void tell_end(const struct teller *to, unsigned rule, size_t index) {
    struct life *l = life_find(to->a, rule, index, false);
    if (l && l->phase != LIFE_IDLE) {
        tell_event(to, index, l, life_end(l, to->a->watch.step));
    }
}

static void end_life(const struct teller *to, size_t index, struct life *l, bool only_pending) {
    if (l->phase == LIFE_PENDING || (l->phase == LIFE_FIRING && !only_pending)) {
        tell_event(to, index, l, life_end(l, to->a->watch.step));
    }
}

void tell_end_all(const struct teller *to, bool only_pending) {
    struct alerts *a = to->a;
    for (size_t i = 0; i < a->n_layers; i++) {
        for (size_t k = 0; k < SCOPE_LIVES; k++) {
            end_life(to, i, &a->lives[i].of[k], only_pending);
        }
    }
    for (unsigned rule = 0; rule < RULES_MAX; rule++) {
        end_life(to, a->n_layers, &a->watch.lives[rule], only_pending);
    }
}
