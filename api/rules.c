// GET /api/v1/rules
#include "alerts/oncall.h"
#include "api/emit.h"
#include "api/handlers.h"
#include "base/num.h"

static void emit_bound(struct emit *e, const char *key, double x) {
    if (num_is_missing(x)) {
        emit_null(e, key);
    } else {
        emit_number(e, key, x);
    }
}

static void emit_words(struct emit *e, const char *key,
                       const struct rule_word words[RULE_WORDS_MAX]) {
    emit_object(e, key);
    for (size_t i = 0; i < RULE_WORDS_MAX && words[i].key; i++) {
        emit_text(e, words[i].key, words[i].value);
    }
    emit_end(e);
}

// What docs/alerting.md tells someone on call; null for rules of the configuration's own.
static void emit_oncall(struct emit *e, const char *rule) {
    const struct oncall *o = oncall_find(rule);
    emit_text(e, "means", o ? o->means : NULL);
    emit_text(e, "causes", o ? o->causes : NULL);
    emit_text(e, "remedy", o ? o->remedy : NULL);
}

static void emit_rule(struct emit *e, const struct rule *rule, uint64_t fired) {
    emit_object(e, NULL);
    emit_text(e, "rule", rule->name);
    emit_text(e, "help", rule->id < RULE_COUNT ? rule_help(rule->id) : NULL);
    emit_oncall(e, rule->name);
    emit_text(e, "reads", rule->id < RULE_COUNT ? rule_reads(rule->id) : rule->metric);
    emit_text(e, "metric", rule->metric);
    emit_bool(e, "enabled", rule->enabled);
    emit_text(e, "severity", severity_name(rule->severity));
    emit_bound(e, "fire_above", rule->fire_above);
    emit_bound(e, "clear_below", rule->clear_below);
    emit_bound(e, "fire_below", rule->fire_below);
    emit_bound(e, "clear_above", rule->clear_above);
    emit_integer(e, "for_steps", rule->for_steps);
    emit_number(e, "for_seconds", rule->for_seconds);
    emit_integer(e, "keep_firing_steps", rule->keep_firing_steps);
    emit_number(e, "keep_firing_seconds", rule->keep_firing_seconds);
    emit_integer(e, "warmup_steps", rule->warmup_steps);
    emit_integer(e, "window", rule->window);
    emit_text(e, "layer", rule->layer_glob);
    emit_text(e, "run", rule->run_glob);
    emit_text(e, "project", rule->project_glob);
    emit_words(e, "labels", rule->labels);
    emit_words(e, "annotations", rule->annotations);
    emit_integer(e, "fired", (int64_t)fired);
    emit_end(e);
}

enum MHD_Result rules_get(struct request *q) {
    struct board *board = q->api->board;
    struct ruleset *rules = board_rules(board);
    struct buf json;
    buf_init(&json, (size_t)1 << 22);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    emit_array(&e, "rules");
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        const struct rule *rule = ruleset_rule(rules, i);
        emit_rule(&e, rule, board_fired(board, rule->name));
    }
    ruleset_release(rules);
    emit_end(&e);
    emit_end(&e);
    return answer_json(q, &json);
}
