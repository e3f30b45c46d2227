// Closeness to the edge of stability, judged by the run's own healthy level and by how far the
// learning rate has gone beyond what the run has shown to bear.
//
// The stability fraction x is proportional to the learning rate at a given curvature. A run that
// bore a learning rate in good health says little about one three times as high: the more it
// exceeds the proven one, the smaller the rise that counts. Scheduled peaks are part of what is
// proven, since the learning rate's own warm-up is waited for.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

#define PACE_FLAT_STEPS 20      // without a new highest learning rate its warm-up is over
#define PACE_FOLLOW (1. / 2000) // a higher learning rate becomes proven within some thousand steps
#define RESTART 0.7             // of the learning rate's logarithm above the usual: a doubling
#define USUAL_RATE (1. / 64)
#define CREEP_MIN 1e-4       // of the logarithm, a step; less is rounding
#define CREEP_TOLERANCE 1e-3 // of that: the steps of a line, or of a wave, differ by more
#define UNPROVEN 1.1         // times the proven learning rate
#define FLOOR 0.02           // any restoring force at all, beyond what noise would feign
#define RISE_PROVEN 0.5      // over the healthy level, at a proven learning rate
#define RISE 0.35            // the same at an unproven one, before it is eased
#define RISE_MIN 0.05
#define RISE_SPREADS 4
#define CRITICAL_FACTOR 2 // times the rule's threshold

double pace_excess(const struct pace *p) {
    return p->proven > 0 && p->lr > p->proven ? p->lr / p->proven : 1;
}

// A schedule that jumps returns to what the run has borne: a warm restart. Where a jump ends above
// that it is unproven itself, however low it began.
static double look_for_jump(const struct pace *p, double before) {
    double borne = p->proven > 0 ? p->proven : p->highest;
    return borne > 0 && before > 0 && p->lr > UNPROVEN * borne ? p->lr / before : 1;
}

// A warm restart, or another rise that the schedule wants.
static void look_for_restart(struct pace *p) {
    double x = log(p->lr);
    p->restarts = x - p->usual > RESTART && !(pace_excess(p) > UNPROVEN);
    p->usual = p->restarts || !(p->highest > 0) ? x : p->usual + USUAL_RATE * (x - p->usual);
}

// One that grows by the same share at each step.
static void look_for_creep(struct pace *p, double lr) {
    double share = p->lr > 0 ? log(lr / p->lr) : 0;
    if (!(share > CREEP_MIN)) {
        p->steady = 0;
    } else if (p->steady > 0 && fabs(share - p->share) < CREEP_TOLERANCE * p->share) {
        p->steady += p->steady < UINT32_MAX;
    } else {
        p->steady = 1;
        p->share = share;
        p->from = p->lr;
    }
}

void pace_observe(struct pace *p, double lr, bool warmed_up) {
    look_for_creep(p, lr);
    p->rising = lr > p->lr ? p->rising + (p->rising < UINT32_MAX) : 0;
    double before = p->lr;
    p->lr = lr;
    p->jump = 1;
    p->restarts = false;
    if (!(lr > 0) || isinf(lr)) {
        return;
    }
    p->jump = look_for_jump(p, before);
    look_for_restart(p);
    if (lr > p->highest) {
        p->highest = lr;
        p->flat = 0;
    } else {
        p->flat += p->flat < UINT32_MAX;
    }
    if (p->proven > 0) {
        p->proven += lr > p->proven ? PACE_FOLLOW * (lr - p->proven) : 0;
    } else if (warmed_up && p->flat >= PACE_FLAT_STEPS) {
        p->proven = p->highest;
    }
}

void unstable_look(const struct look *look, struct finding *f) {
    struct scope *s = look->scope;
    const struct rule *rule = look->rule;
    double stability = thermo_value(look->thermo, look->layer, METRIC_STABILITY);
    *f = (struct finding){.severity = rule->severity, .value = stability};
    if (!isfinite(stability) || !look->warmed_up) {
        f->clear = true;
        return;
    }
    const struct baseline *b = &s->stability;
    double excess = pace_excess(&look->a->watch.pace), ease = 1 / (excess * excess);
    double fraction = excess > UNPROVEN ? RISE * ease : RISE_PROVEN;
    double rise = fmax(fmax(fraction, RISE_MIN), RISE_SPREADS * b->spread);
    double over_level = b->level + rise;
    f->threshold = fmax(fmax(rule->fire_above * ease, FLOOR), over_level);
    f->fire = baseline_is_known(b) && stability > f->threshold;
    double clear_below = f->threshold * (rule->clear_below / rule->fire_above);
    f->clear = stability < fmax(clear_below, b->level + rise / 2);
    if (f->fire && stability > CRITICAL_FACTOR * rule->fire_above &&
        rule->severity > SEVERITY_INFO) {
        f->severity = SEVERITY_CRITICAL;
    }
    // Training sharpens until it meets the edge, and lives there in good health: at a proven
    // learning rate that warns only when the loss suffers too.
    if (excess <= UNPROVEN && !loss_suffers(&look->a->watch)) {
        f->severity = SEVERITY_INFO;
    }
    bool suspect = stability > b->level + rise / 2 || excess > UNPROVEN || !f->clear;
    if (suspect && baseline_is_known(b)) {
        baseline_hold(&s->stability, stability);
    } else {
        baseline_add(&s->stability, stability);
    }
}

static const char *how_close(double stability) {
    if (stability > 1) {
        return " has gone beyond the edge of stability";
    }
    return stability > 0.15 ? " is close to instability" : " is heading for instability";
}

void unstable_describe(struct text *t, const struct life *l, const struct story *story) {
    const struct pace *pace = &story->a->watch.pace;
    text_add_subject(t, story->layer);
    text_add(t, "%s: ", how_close(l->value));
    if (story->scope) {
        text_add(t,
                 "its stability fraction rose to %.2g, over %.2g for %" PRIu32
                 " step%s (healthy level %.2g; 1 is the edge)",
                 l->value, l->threshold, l->held, text_plural(l->held),
                 story->scope->stability.level);
    } else {
        text_add(t,
                 "in %" PRIu32 " of %" PRIu32
                 " layers the stability fraction rose, to %.2g on average, "
                 "over %.2g for %" PRIu32 " step%s (1 is the edge)",
                 story->crowd->hot, story->crowd->layers, l->value, l->threshold, l->held,
                 text_plural(l->held));
    }
    double excess = pace_excess(pace);
    if (excess > UNPROVEN) {
        text_add(
            t, "; the learning rate %.3g is %.2g times the highest that the run has shown to bear",
            pace->lr, excess);
    } else if (l->value > 0.1 && l->value < 1) {
        text_add(t, "; the edge lies at about %.2g times the present learning rate", 1 / l->value);
    }
}
