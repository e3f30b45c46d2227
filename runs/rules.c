#include "runs/rules.h"

#include "alerts/metric.h"
#include "alerts/template.h"
#include "base/num.h"
#include "config/limits.h"

#include <stdarg.h>
#include <stdio.h>
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

// What is being put together: the rules so far, texts that live until they are copied, and what is
// wrong with the entries.
struct draft {
    const struct config *config;
    struct rule *rules;
    char **texts;
    size_t n, n_texts, mistakes;
    struct buf *error;
};

// A line "FILE:LINE: alerts.rules[2].KEY: what is wrong; expected ...".
static void tell(struct draft *d, const struct config_rule *c, const char *key, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
static void tell(struct draft *d, const struct config_rule *c, const char *key, const char *format,
                 ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(d->error, "%s%s:%zu: alerts.rules[%td].%s: %s", d->mistakes ? "\n" : "",
               d->config->file ? d->config->file : "", c->line, c - d->config->alerts.rules, key,
               text);
    d->mistakes++;
}

static void check_bounds(struct draft *d, const struct config_rule *c, const struct rule *r) {
    if (r->clear_below > r->fire_above) {
        tell(d, c, "clear_below",
             "%g is above fire_above %g, so that an alert would clear before it fires; expected at "
             "most the same",
             r->clear_below, r->fire_above);
    }
    if (r->clear_above < r->fire_below) {
        tell(d, c, "clear_above",
             "%g is under fire_below %g, so that an alert would clear before it fires; expected at "
             "least the same",
             r->clear_above, r->fire_below);
    }
    if (r->fire_below >= r->fire_above) {
        tell(d, c, "fire_below",
             "%g is not under fire_above %g, so that every value would fire; expected less",
             r->fire_below, r->fire_above);
    }
}

static bool is_set(double x) {
    return !num_is_missing(x);
}

// stalled judges silence, by alerts.stall_after.
static const char *key_of_steps(const struct config_rule *c) {
    return is_set(c->fire_above)             ? "fire_above"
           : is_set(c->clear_below)          ? "clear_below"
           : c->for_span.is_set              ? "for"
           : c->keep_firing_for.is_set       ? "keep_firing_for"
           : c->warmup_steps != CONFIG_UNSET ? "warmup_steps"
                                             : NULL;
}

// A bound on the side to which the rule does not look.
static const char *key_of_bound(const struct config_rule *c, bool up, bool down) {
    return !down && is_set(c->fire_below)    ? "fire_below"
           : !down && is_set(c->clear_above) ? "clear_above"
           : !up && is_set(c->fire_above)    ? "fire_above"
           : !up && is_set(c->clear_below)   ? "clear_below"
                                             : NULL;
}

static void check_built_in(struct draft *d, const struct config_rule *c, enum rule_id id) {
    const struct rule initial = rule_default(id);
    bool down = is_set(initial.fire_below), up = is_set(initial.fire_above) || !down;
    const char *bound = key_of_bound(c, up, down);
    const char *key = c->metric ? "metric" : c->window != CONFIG_UNSET ? "window" : NULL;
    if (key) {
        tell(d, c, key, "%s has its own measure; expected no %s with this rule", c->rule, key);
    }
    if (bound && id != RULE_STALLED) {
        tell(d, c, bound, "%s looks to the other side; expected %s", c->rule,
             up ? "fire_above and clear_below" : "fire_below and clear_above");
    }
    if (c->layer && rule_is_of_run(id)) {
        tell(d, c, "layer",
             "%s judges the whole run, so that it would never fire; expected run or project, or "
             "neither",
             c->rule);
    }
    if (id == RULE_STALLED && key_of_steps(c)) {
        tell(d, c, key_of_steps(c),
             "stalled is about steps that do not come; expected alerts.stall_after in its place");
    }
}

static void check_own(struct draft *d, const struct config_rule *c) {
    struct metric_source m = metric_source(c->metric);
    if (!is_set(c->fire_above) && !is_set(c->fire_below)) {
        tell(d, c, "fire_above", "neither it nor fire_below is there; expected one or both");
    }
    if (c->layer && !metric_of_layers(&m)) {
        tell(d, c, "layer",
             "%s is of the whole run, so that the rule would never fire; expected no layer",
             c->metric);
    }
    if (strcmp(c->metric, "scalar.") == 0) {
        tell(d, c, "metric", "\"scalar.\" names no scalar; expected one such as scalar.accuracy");
    }
    if (m.kind == METRIC_KIND_COLUMN && strncmp(c->metric, "temperature.", 12) == 0) {
        tell(d, c, "metric",
             "\"%s\" is no temperature; expected transition, differential, kinetic, "
             "configurational, noise or velocity behind \"temperature.\"",
             c->metric);
    }
}

// Labels by which receivers know an alert already.
static void check_labels(struct draft *d, const struct config_rule *c, const struct rule *r) {
    static const char *const ours[] = {"alertname", "run", "project", "layer", "severity"};
    for (size_t i = 0; i < RULE_WORDS_MAX && r->labels[i].key; i++) {
        for (size_t k = 0; k < sizeof ours / sizeof *ours; k++) {
            if (strcmp(r->labels[i].key, ours[k]) == 0) {
                tell(d, c, "labels", "every alert has its own \"%s\"; expected another name",
                     ours[k]);
            }
        }
        if (strstr(r->labels[i].value, "{{")) {
            tell(d, c, "labels",
                 "%s: receivers know an alert by its labels, which do not change "
                 "with it; expected a plain text, and templates in annotations",
                 r->labels[i].key);
        }
    }
}

// By the same template that fills them once an alert fires; here nothing has a value yet.
static void check_annotations(struct draft *d, const struct config_rule *c, const struct rule *r) {
    const struct template_facts facts = {.labels = c->labels};
    struct buf filled, error;
    buf_init(&filled, LIMIT_CONFIG_TEXT);
    buf_init(&error, 1024);
    for (size_t i = 0; i < RULE_WORDS_MAX && r->annotations[i].key; i++) {
        if (template_fill(r->annotations[i].value, &facts, &filled, &error)) {
            tell(d, c, "annotations", "%s: %s", r->annotations[i].key, buf_str(&error));
        }
        buf_clear(&filled);
        buf_clear(&error);
    }
    buf_free(&filled);
    buf_free(&error);
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

static char *keep(struct draft *d, const char *text) {
    d->texts[d->n_texts] = copy(text);
    return d->texts[d->n_texts++];
}

// An entry bound to nothing, or to layers alone, takes the place of the default; one bound to runs
// or projects stands beside it.
static void add(struct draft *d, const struct config_rule *c, bool replaced[RULE_COUNT]) {
    enum rule_id id;
    bool is_built_in = rule_find(c->rule, &id);
    struct rule r = is_built_in ? rule_default(id) : rule_own(c->rule, c->metric);
    size_t before = d->mistakes;
    if (is_built_in) {
        check_built_in(d, c, id);
    } else {
        check_own(d, c);
    }
    change(&r, c);
    set_words(r.labels, keep(d, c->labels));
    set_words(r.annotations, keep(d, c->annotations));
    check_labels(d, c, &r);
    check_annotations(d, c, &r);
    if (d->mistakes == before) {
        check_bounds(d, c, &r);
    }
    bool replaces = is_built_in && !c->run && !c->project && !replaced[id];
    if (replaces) {
        d->rules[id] = r;
        replaced[id] = true;
    } else {
        d->rules[d->n++] = r;
    }
}

struct ruleset *rules_from_config(const struct config *config, struct buf *error) {
    size_t n = config->alerts.n_rules;
    bool replaced[RULE_COUNT] = {false};
    struct draft d = {.config = config,
                      .rules = must_alloc((RULE_COUNT + n) * sizeof *d.rules),
                      .texts = must_alloc((2 * n + 1) * sizeof *d.texts),
                      .n = RULE_COUNT,
                      .error = error};
    for (enum rule_id id = 0; id < RULE_COUNT; id++) {
        d.rules[id] = rule_default(id);
    }
    for (size_t i = 0; i < n && d.mistakes < LIMIT_CONFIG_ERRORS; i++) {
        add(&d, &config->alerts.rules[i], replaced);
    }
    struct ruleset *rules = d.mistakes ? NULL : ruleset_create(d.rules, d.n);
    for (size_t i = 0; i < d.n_texts; i++) {
        free(d.texts[i]);
    }
    free(d.texts);
    free(d.rules);
    return rules;
}
