#include "runs/rules.h"

#include "base/num.h"

#include <stdlib.h>
#include <string.h>

const char *const *rules_names(const char *names[RULE_COUNT + 1]) {
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        names[i] = rule_name((enum rule_id)i);
    }
    names[RULE_COUNT] = NULL;
    return names;
}

static void set_number(double *to, double x) {
    *to = num_is_missing(x) ? *to : x;
}

static void set_count(uint32_t *to, uint64_t n) {
    if (n != CONFIG_UNSET) {
        *to = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    }
}

// A span is of steps or of time; what is not said of the other is nothing.
static void set_span(const struct units_span *span, uint32_t *steps, double *seconds) {
    if (span->is_set && span->is_steps) {
        *steps = span->value > (double)UINT32_MAX ? UINT32_MAX : (uint32_t)span->value;
        *seconds = 0;
    } else if (span->is_set) {
        *steps = 1;
        *seconds = span->value;
    }
}

// "key=value" lines, cut up in place.
static void set_words(struct rule_word words[RULE_WORDS_MAX], char *lines) {
    size_t n = 0;
    for (char *at = lines; at && *at && n < RULE_WORDS_MAX; n++) {
        char *equals = strchr(at, '='), *end = strchr(at, '\n');
        if (!equals || !end) {
            break;
        }
        *equals = *end = '\0';
        words[n] = (struct rule_word){at, equals + 1};
        at = end + 1;
    }
}

static int check_bounds(const struct rule *r, struct buf *error) {
    if (r->clear_below > r->fire_above) {
        buf_printf(error,
                   "alerts.rules: %s: clear_below %g is above fire_above %g; an alert would clear "
                   "before it fires",
                   r->name, r->clear_below, r->fire_above);
        return -1;
    }
    if (r->clear_above < r->fire_below) {
        buf_printf(error,
                   "alerts.rules: %s: clear_above %g is under fire_below %g; an alert would clear "
                   "before it fires",
                   r->name, r->clear_above, r->fire_below);
        return -1;
    }
    if (r->id == RULE_COUNT && num_is_missing(r->fire_above) && num_is_missing(r->fire_below)) {
        buf_printf(error,
                   "alerts.rules: %s: has neither fire_above nor fire_below; expected one or both",
                   r->name);
        return -1;
    }
    return 0;
}

static int check_built_in(const struct config_rule *c, enum rule_id id, struct buf *error) {
    bool looks_down = !num_is_missing(rule_default(id).fire_below);
    const char *key = c->metric                                        ? "metric"
                      : !looks_down && !num_is_missing(c->fire_below)  ? "fire_below"
                      : !looks_down && !num_is_missing(c->clear_above) ? "clear_above"
                      : c->window != CONFIG_UNSET                      ? "window"
                                                                       : NULL;
    if (key) {
        buf_printf(error,
                   "alerts.rules: %s: %s is for rules of your own; a built-in rule has its own "
                   "measure",
                   c->rule, key);
        return -1;
    }
    return 0;
}

static void change(struct rule *r, const struct config_rule *c) {
    r->enabled = c->enabled;
    if (c->severity != CONFIG_SEVERITY_UNSET) {
        r->severity = (enum severity)(c->severity - CONFIG_SEVERITY_INFO);
    }
    set_number(&r->fire_above, c->fire_above);
    set_number(&r->fire_below, c->fire_below);
    set_number(&r->clear_above, c->clear_above);
    if (!num_is_missing(c->clear_below)) {
        r->clear_below = c->clear_below;
    } else if (r->clear_below > r->fire_above) {
        r->clear_below = r->fire_above;
    }
    if (num_is_missing(c->clear_above) && r->clear_above < r->fire_below) {
        r->clear_above = r->fire_below;
    }
    set_span(&c->for_span, &r->for_steps, &r->for_seconds);
    set_span(&c->keep_firing_for, &r->keep_firing_steps, &r->keep_firing_seconds);
    set_count(&r->warmup_steps, c->warmup_steps);
    set_count(&r->window, c->window);
    r->layer_glob = c->layer;
    r->run_glob = c->run;
    r->project_glob = c->project;
}

static char *copy(const char *text) {
    char *s = must_copy(text);
    CHECK(s != NULL || text == NULL);
    return s;
}

// What is being put together: the rules so far, and texts that live until they are copied.
struct draft {
    struct rule *rules;
    char **texts;
    size_t n, n_texts;
};

static char *keep(struct draft *d, const char *text) {
    d->texts[d->n_texts] = copy(text);
    return d->texts[d->n_texts++];
}

// An entry bound to nothing, or to layers alone, takes the place of the default; one bound to runs
// or projects stands beside it.
static int add(struct draft *d, const struct config_rule *c, bool replaced[RULE_COUNT],
               struct buf *error) {
    enum rule_id id;
    bool is_built_in = rule_find(c->rule, &id);
    struct rule r = is_built_in ? rule_default(id) : rule_own(c->rule, c->metric);
    if (is_built_in && check_built_in(c, id, error)) {
        return -1;
    }
    change(&r, c);
    set_words(r.labels, keep(d, c->labels));
    set_words(r.annotations, keep(d, c->annotations));
    if (check_bounds(&r, error)) {
        return -1;
    }
    bool replaces = is_built_in && !c->run && !c->project && !replaced[id];
    if (replaces) {
        d->rules[id] = r;
        replaced[id] = true;
    } else {
        d->rules[d->n++] = r;
    }
    return 0;
}

struct ruleset *rules_from_config(const struct config *config, struct buf *error) {
    size_t n = config->alerts.n_rules;
    bool replaced[RULE_COUNT] = {false};
    struct draft d = {.rules = must_alloc((RULE_COUNT + n) * sizeof *d.rules),
                      .texts = must_alloc((2 * n + 1) * sizeof *d.texts),
                      .n = RULE_COUNT};
    for (enum rule_id id = 0; id < RULE_COUNT; id++) {
        d.rules[id] = rule_default(id);
    }
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = add(&d, &config->alerts.rules[i], replaced, error);
    }
    struct ruleset *rules = rc ? NULL : ruleset_create(d.rules, d.n);
    for (size_t i = 0; i < d.n_texts; i++) {
        free(d.texts[i]);
    }
    free(d.texts);
    free(d.rules);
    return rules;
}
