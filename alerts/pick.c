// Which rule counts for which layer of a run.
#include "alerts/state.h"

#include "base/check.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool matches(const char *glob, const char *name) {
    return !glob || fnmatch(glob, name ? name : "", 0) == 0;
}

static uint16_t *pick_of(const struct alerts *a, unsigned rule, size_t index) {
    return &a->pick[rule * (a->n_layers + 1) + index];
}

const struct rule *rule_for(const struct alerts *a, unsigned rule, size_t index) {
    uint16_t at = *pick_of(a, rule, index);
    if (at == NO_RULE) {
        return NULL;
    }
    const struct rule *r = ruleset_rule(a->rules, at);
    return r->enabled ? r : NULL;
}

const char *rule_name_of(const struct alerts *a, unsigned rule) {
    return rule < RULE_COUNT ? rule_name((enum rule_id)rule)
                             : a->watch.own_names[rule - RULE_COUNT];
}

// Whether no alert is known by that number any more.
static bool is_idle(const struct alerts *a, unsigned rule) {
    if (a->watch.lives[rule].phase != LIFE_IDLE) {
        return false;
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        for (size_t k = 0; k < SCOPE_LIVES; k++) {
            const struct life *l = &a->lives[i].of[k];
            if (l->rule == rule && l->phase != LIFE_IDLE) {
                return false;
            }
        }
    }
    return true;
}

static void clear_own(struct alerts *a, unsigned own) {
    if (own < a->n_own) {
        memset(&a->own[own * (a->n_layers + 1)], 0, (a->n_layers + 1) * sizeof *a->own);
    }
    a->watch.own_names[own][0] = '\0';
}

// The number of a rule of the configuration's own: the one it has had, or a free one. RULES_MAX
// when there are too many.
static unsigned number_of(struct alerts *a, const char *name) {
    unsigned found = RULES_MAX;
    for (unsigned own = 0; own < RULES_OWN_MAX; own++) {
        if (strcmp(a->watch.own_names[own], name) == 0) {
            return RULE_COUNT + own;
        }
        if (found == RULES_MAX && a->watch.own_names[own][0] == '\0') {
            found = RULE_COUNT + own;
        }
    }
    if (found < RULES_MAX) {
        snprintf(a->watch.own_names[found - RULE_COUNT], RULE_NAME_MAX + 1, "%s", name);
    }
    return found;
}

static bool is_for_run(const struct alerts *a, const struct rule *r) {
    return matches(r->run_glob, a->run) && matches(r->project_glob, a->project);
}

static void pick_rule(struct alerts *a, uint16_t at) {
    const struct rule *r = ruleset_rule(a->rules, at);
    unsigned rule = r->id < RULE_COUNT ? (unsigned)r->id : number_of(a, r->name);
    if (rule >= RULES_MAX) {
        return;
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        if (matches(r->layer_glob, a->names[i])) {
            *pick_of(a, rule, i) = at;
        }
    }
    if (!r->layer_glob) {
        *pick_of(a, rule, a->n_layers) = at;
    }
    if (rule >= RULE_COUNT) {
        a->sources[rule - RULE_COUNT] = metric_source(r->metric);
    }
}

static bool is_wanted(const struct alerts *a, const char *name) {
    for (size_t i = 0; i < ruleset_count(a->rules); i++) {
        const struct rule *r = ruleset_rule(a->rules, i);
        if (r->id == RULE_COUNT && strcmp(r->name, name) == 0) {
            return true;
        }
    }
    return false;
}

unsigned own_used(const struct watch *w) {
    unsigned n = RULES_OWN_MAX;
    while (n > 0 && w->own_names[n - 1][0] == '\0') {
        n--;
    }
    return n;
}

void make_room(struct alerts *a, unsigned n_own) {
    size_t places = a->n_layers + 1;
    a->pick = must_grow(a->pick, (RULE_COUNT + n_own) * places * sizeof *a->pick);
    a->own = must_grow(a->own, (n_own + 1) * places * sizeof *a->own);
    if (n_own > a->n_own) {
        memset(&a->own[a->n_own * places], 0, (n_own - a->n_own) * places * sizeof *a->own);
    }
    a->n_own = n_own;
    memset(a->pick, 0xff, (RULE_COUNT + n_own) * places * sizeof *a->pick);
}

static bool is_common(const struct alerts *a, unsigned rule) {
    size_t i = 1;
    while (i < a->n_layers && *pick_of(a, rule, i) == *pick_of(a, rule, 0)) {
        i++;
    }
    return i >= a->n_layers;
}

void pick_rules(struct alerts *a) {
    size_t n = ruleset_count(a->rules);
    memset(a->sources, 0, sizeof a->sources);
    for (unsigned own = 0; own < RULES_OWN_MAX; own++) {
        if (!is_wanted(a, a->watch.own_names[own]) && is_idle(a, RULE_COUNT + own)) {
            clear_own(a, own);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct rule *r = ruleset_rule(a->rules, i);
        if (r->id == RULE_COUNT && is_for_run(a, r)) {
            number_of(a, r->name);
        }
    }
    make_room(a, own_used(&a->watch));
    for (size_t i = 0; i < n && i < NO_RULE; i++) {
        if (is_for_run(a, ruleset_rule(a->rules, i))) {
            pick_rule(a, (uint16_t)i);
        }
    }
    for (unsigned rule = 0; rule < RULE_COUNT + a->n_own; rule++) {
        a->is_common[rule] = is_common(a, rule);
    }
}
