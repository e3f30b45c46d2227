// GET /api/v1/rules
#include "api/emit.h"
#include "api/handlers.h"

static void emit_rule(struct emit *e, const struct rule *rule, uint64_t fired) {
    emit_object(e, NULL);
    emit_text(e, "rule", rule_name(rule->id));
    emit_text(e, "help", rule_help(rule->id));
    emit_bool(e, "enabled", rule->enabled);
    emit_text(e, "severity", severity_name(rule->severity));
    emit_number(e, "fire_above", rule->fire_above);
    emit_number(e, "clear_below", rule->clear_below);
    emit_integer(e, "for_steps", rule->for_steps);
    emit_integer(e, "keep_firing_steps", rule->keep_firing_steps);
    emit_integer(e, "warmup_steps", rule->warmup_steps);
    emit_integer(e, "fired", (int64_t)fired);
    emit_end(e);
}

enum MHD_Result rules_get(struct request *q) {
    struct rule rules[RULE_COUNT];
    struct board_figures *figures = board_figures(q->api->board);
    struct buf json;
    buf_init(&json, (size_t)1 << 20);
    struct emit e = emit_to(&json);
    board_rules(q->api->board, rules);
    emit_object(&e, NULL);
    emit_array(&e, "rules");
    for (size_t i = 0; i < RULE_COUNT; i++) {
        emit_rule(&e, &rules[i], atomic_load(&figures->alerts_fired[rules[i].id]));
    }
    emit_end(&e);
    emit_end(&e);
    return answer_json(q, &json);
}
