#include "daemon/rules.h"

#include "base/num.h"

#include <stdlib.h>
#include <string.h>

// Globs of earlier configurations stay until the end: the HTTP thread may be printing one.
struct glob {
    struct glob *next;
    char text[];
};

static const char *keep_glob(struct app *app, const char *text) {
    if (!text) {
        return NULL;
    }
    struct glob *g = must_alloc(sizeof *g + strlen(text) + 1);
    memcpy(g->text, text, strlen(text) + 1);
    g->next = app->globs;
    app->globs = g;
    return g->text;
}

// Rules count steps, so that they mean the same at every speed of training.
static int steps_of(const struct units_span *span, const char *rule, const char *key,
                    uint32_t *steps, struct buf *error) {
    if (!span->is_set) {
        return 0;
    }
    if (!span->is_steps || span->value > (double)UINT32_MAX) {
        buf_printf(error,
                   "alerts.rules: %s: %s wants a number of steps in this version, such as 20", rule,
                   key);
        return -1;
    }
    *steps = (uint32_t)span->value;
    return 0;
}

static int apply(const struct config_rule *c, struct rule *rule, struct buf *error) {
    rule->enabled = c->enabled;
    if (c->severity != CONFIG_SEVERITY_UNSET) {
        rule->severity = (enum severity)(c->severity - CONFIG_SEVERITY_INFO);
    }
    rule->fire_above = num_is_missing(c->fire_above) ? rule->fire_above : c->fire_above;
    if (!num_is_missing(c->clear_below)) {
        rule->clear_below = c->clear_below;
    } else if (rule->clear_below > rule->fire_above) {
        rule->clear_below = rule->fire_above;
    }
    if (rule->clear_below > rule->fire_above) {
        buf_printf(error,
                   "alerts.rules: %s: clear_below %g is above fire_above %g; an alert would clear "
                   "before it fires",
                   c->rule, rule->clear_below, rule->fire_above);
        return -1;
    }
    if (c->warmup_steps != CONFIG_UNSET) {
        rule->warmup_steps = c->warmup_steps > UINT32_MAX ? UINT32_MAX : (uint32_t)c->warmup_steps;
    }
    if (c->run || c->project) {
        buf_printf(error,
                   "alerts.rules: %s: binding a rule to runs or projects is not in this version; "
                   "leave out `run` and `project`",
                   c->rule);
        return -1;
    }
    return steps_of(&c->for_span, c->rule, "for", &rule->for_steps, error) ||
                   steps_of(&c->keep_firing_for, c->rule, "keep_firing_for",
                            &rule->keep_firing_steps, error)
               ? -1
               : 0;
}

int rules_apply(struct app *app, const struct config *config, struct buf *error) {
    struct rule rules[RULE_COUNT];
    const char *globs[RULE_COUNT] = {NULL};
    rules_default(rules);
    for (size_t i = 0; i < config->alerts.n_rules; i++) {
        const struct config_rule *c = &config->alerts.rules[i];
        enum rule_id id;
        CHECK(rule_find(c->rule, &id)); // the configuration knows the names
        if (apply(c, &rules[id], error)) {
            return -1;
        }
        globs[id] = c->layer;
    }
    for (size_t i = 0; i < RULE_COUNT; i++) {
        rules[i].layer_glob = keep_glob(app, globs[i]);
    }
    memcpy(app->rules, rules, sizeof rules);
    return 0;
}

void rules_free(struct app *app) {
    while (app->globs) {
        struct glob *next = app->globs->next;
        free(app->globs);
        app->globs = next;
    }
}
