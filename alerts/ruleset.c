#include "alerts/rules.h"

#include "base/check.h"
#include "base/num.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// The texts lie behind the rules in one block each.
struct ruleset {
    atomic_uint holders;
    size_t n;
    char **texts;
    size_t n_texts, texts_cap;
    struct rule rules[];
};

static const char *keep(struct ruleset *r, const char *text) {
    if (!text) {
        return NULL;
    }
    if (r->n_texts == r->texts_cap) {
        r->texts_cap = r->texts_cap ? 2 * r->texts_cap : 32;
        r->texts = must_grow(r->texts, r->texts_cap * sizeof *r->texts);
    }
    char *copy = must_copy(text);
    r->texts[r->n_texts++] = copy;
    return copy;
}

static void keep_words(struct ruleset *r, struct rule_word words[RULE_WORDS_MAX]) {
    for (size_t i = 0; i < RULE_WORDS_MAX && words[i].key; i++) {
        words[i].key = keep(r, words[i].key);
        words[i].value = keep(r, words[i].value);
    }
}

struct ruleset *ruleset_create(const struct rule *rules, size_t n) {
    struct ruleset *r = must_alloc(sizeof *r + n * sizeof *rules);
    atomic_init(&r->holders, 1);
    r->n = n;
    for (size_t i = 0; i < n; i++) {
        struct rule *to = &r->rules[i];
        *to = rules[i];
        to->name = keep(r, to->name);
        to->metric = keep(r, to->metric);
        to->layer_glob = keep(r, to->layer_glob);
        to->run_glob = keep(r, to->run_glob);
        to->project_glob = keep(r, to->project_glob);
        keep_words(r, to->labels);
        keep_words(r, to->annotations);
    }
    return r;
}

struct ruleset *ruleset_default(void) {
    struct rule rules[RULE_COUNT];
    for (enum rule_id id = 0; id < RULE_COUNT; id++) {
        rules[id] = rule_default(id);
    }
    return ruleset_create(rules, RULE_COUNT);
}

struct ruleset *ruleset_hold(struct ruleset *r) {
    atomic_fetch_add(&r->holders, 1);
    return r;
}

void ruleset_release(struct ruleset *r) {
    if (r && atomic_fetch_sub(&r->holders, 1) == 1) {
        for (size_t i = 0; i < r->n_texts; i++) {
            free(r->texts[i]);
        }
        free(r->texts);
        free(r);
    }
}

size_t ruleset_count(const struct ruleset *r) {
    return r->n;
}

const struct rule *ruleset_rule(const struct ruleset *r, size_t i) {
    return &r->rules[i];
}

struct rule rule_own(const char *name, const char *metric) {
    return (struct rule){.name = name,
                         .id = RULE_COUNT,
                         .metric = metric,
                         .enabled = true,
                         .severity = SEVERITY_WARNING,
                         .fire_above = num_missing(),
                         .clear_below = num_missing(),
                         .fire_below = num_missing(),
                         .clear_above = num_missing(),
                         .for_steps = 1,
                         .keep_firing_steps = 1};
}
