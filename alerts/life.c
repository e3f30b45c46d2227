#include "alerts/life.h"

static bool is_quiet(const struct life *l, int64_t step, const struct finding *f) {
    return step < l->quiet_until && f->severity <= (enum severity)l->quiet_severity;
}

static void take(struct life *l, const struct finding *f) {
    l->value = f->value;
    l->threshold = f->threshold;
    l->severity = (uint8_t)f->severity;
}

// Held for so many steps, and so long.
static bool has_held(const struct life *l, const struct rule *rule, double time) {
    return l->held >= rule->for_steps && !(time - l->began < rule->for_seconds);
}

static enum life_event begin(struct life *l, const struct rule *rule, int64_t step, double time,
                             const struct finding *f) {
    if (!f->fire || is_quiet(l, step, f)) {
        return LIFE_NOTHING;
    }
    take(l, f);
    l->since = l->fired = step;
    l->held = 1;
    l->gone = 0;
    l->began = time;
    l->phase = has_held(l, rule, time) ? LIFE_FIRING : LIFE_PENDING;
    return l->phase == LIFE_FIRING ? LIFE_FIRED : LIFE_BEGAN;
}

static enum life_event wait(struct life *l, const struct rule *rule, int64_t step, double time,
                            const struct finding *f) {
    if (!f->fire) {
        return life_end(l, step);
    }
    take(l, f);
    l->fired = step;
    l->held += l->held < UINT32_MAX;
    if (!has_held(l, rule, time)) {
        return LIFE_NOTHING;
    }
    l->phase = LIFE_FIRING;
    return LIFE_FIRED;
}

static enum life_event hold(struct life *l, const struct rule *rule, int64_t step, double time,
                            const struct finding *f) {
    l->cleared = f->clear && l->gone > 0 ? l->cleared : time;
    l->gone = f->clear ? l->gone + 1 : 0;
    if (l->gone > 0 && l->gone >= rule->keep_firing_steps &&
        !(time - l->cleared < rule->keep_firing_seconds)) {
        return life_end(l, step);
    }
    if (!f->clear && f->severity > (enum severity)l->severity) {
        take(l, f);
        return LIFE_WORSENED;
    }
    return LIFE_NOTHING;
}

enum life_event life_step(struct life *l, const struct rule *rule, int64_t step, double time,
                          const struct finding *f) {
    switch ((enum life_phase)l->phase) {
    case LIFE_PENDING:
        return wait(l, rule, step, time, f);
    case LIFE_FIRING:
        return hold(l, rule, step, time, f);
    case LIFE_IDLE:
    default:
        return begin(l, rule, step, time, f);
    }
}

enum life_event life_end(struct life *l, int64_t step) {
    enum life_phase phase = (enum life_phase)l->phase;
    l->phase = LIFE_IDLE;
    if (phase == LIFE_FIRING) {
        l->quiet_until =
            step > INT64_MAX - LIFE_COOLDOWN_STEPS ? INT64_MAX : step + LIFE_COOLDOWN_STEPS;
        l->quiet_severity = l->severity;
        return LIFE_RESOLVED;
    }
    return phase == LIFE_PENDING ? LIFE_CANCELLED : LIFE_NOTHING;
}

bool life_is_firing(const struct life *l) {
    return l->phase == LIFE_FIRING;
}

bool life_is_free(const struct life *l, int64_t step) {
    return l->phase == LIFE_IDLE && step >= l->quiet_until;
}

bool life_is_valid(const struct life *l) {
    return l->phase <= LIFE_FIRING && l->severity <= SEVERITY_CRITICAL &&
           l->quiet_severity <= SEVERITY_CRITICAL && l->group_rule < RULES_MAX &&
           l->rule < RULES_MAX;
}
