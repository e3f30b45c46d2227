// The sentences that people read.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_SHOWN 120 // characters of a layer's name

// Appends to a text of fixed size; what does not fit is cut.
struct text {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

static void add_subject(struct text *t, const struct story *story) {
    if (story->layer) {
        add(t, "layer %.*s", NAME_SHOWN, story->layer);
    } else {
        add(t, "the run");
    }
}

static void write_nonfinite(struct text *t, const struct life *l, const struct story *story) {
    static const char *const what[] = {"statistics", "loss", "weights", "gradient", "update"};
    const struct nonfinite *n = &story->watch->nonfinite;
    const char *subject = what[n->what <= NONFINITE_UPDATE ? n->what : NONFINITE_NOTHING];
    if (story->layer) {
        add(t, "layer %.*s: its %s became NaN or infinite", NAME_SHOWN, story->layer, subject);
    } else if (n->what == NONFINITE_LOSS) {
        add(t, "the loss became NaN or infinite");
    } else {
        add(t, "the %s of all %" PRIu64 " layers became NaN or infinite", subject, n->others);
    }
    add(t, " at step %" PRId64, l->since);
    if (story->layer && n->others > 0) {
        add(t, ", with that of %" PRIu64 " other layer%s", n->others, n->others == 1 ? "" : "s");
    }
}

static void write_spike(struct text *t, const struct life *l, const struct story *story) {
    uint32_t steps = story->watch->spike_steps;
    if (steps > 0 && l->severity == SEVERITY_CRITICAL) {
        add(t,
            "the loss jumped at step %" PRId64 " and has not come back in %" PRIu32
            " steps: its level has changed",
            l->since, steps);
        return;
    }
    add(t,
        "the loss jumped at step %" PRId64
        ": it lies %.3g times its usual scatter above its trend, over %.3g",
        l->since, l->value, l->threshold);
    if (story->watch->gradient.held > 0) {
        add(t, "; the gradient jumped with it");
    }
}

static const char *how_close(double stability) {
    if (stability > 1) {
        return " has gone beyond the edge of stability";
    }
    return stability > 0.15 ? " is close to instability" : " is heading for instability";
}

static const char *plural(uint32_t n) {
    return n == 1 ? "" : "s";
}

static void write_unstable(struct text *t, const struct life *l, const struct story *story) {
    const struct pace *pace = &story->watch->pace;
    add_subject(t, story);
    add(t, "%s: ", how_close(l->value));
    if (story->scope) {
        add(t,
            "its stability fraction rose to %.2g, over %.2g for %" PRIu32
            " step%s (healthy level %.2g; 1 is the edge)",
            l->value, l->threshold, l->held, plural(l->held), story->scope->stability.level);
    } else {
        add(t,
            "in %" PRIu32 " of %" PRIu32 " layers the stability fraction rose, to %.2g on average, "
            "over %.2g for %" PRIu32 " step%s (1 is the edge)",
            story->crowd->hot, story->crowd->layers, l->value, l->threshold, l->held,
            plural(l->held));
    }
    double excess = pace_excess(pace);
    if (excess > 1.1) {
        add(t, "; the learning rate %.3g is %.2g times the highest that the run has shown to bear",
            pace->lr, excess);
    } else if (l->value > 0.1 && l->value < 1) {
        add(t, "; the edge lies at about %.2g times the present learning rate", 1 / l->value);
    }
}

static void add_times(struct text *t, const struct movement *m) {
    double usual = exp((double)m->window.median);
    double times = m->lr2 > 0 && usual > 0 ? m->update2 / m->lr2 / usual : 0;
    if (times > 0 && isfinite(times)) {
        add(t, " overheats: its kinetic temperature is %.3g times", times);
    } else {
        add(t, " overheats: its kinetic temperature is far above");
    }
}

static void write_overheating(struct text *t, const struct life *l, const struct story *story) {
    add_subject(t, story);
    if (story->scope) {
        add_times(t, &story->scope->movement);
    } else {
        add(t,
            " overheats: in %" PRIu32 " of %" PRIu32 " layers the kinetic temperature is far above",
            story->crowd->hot, story->crowd->layers);
    }
    add(t,
        " what is usual at this learning rate and batch size (robust z %.3g%s, over %.3g for "
        "%" PRIu32 " step%s)",
        l->value, story->scope ? "" : " on average", l->threshold, l->held, plural(l->held));
}

static void write_stalled(struct text *t, const struct life *l) {
    add(t, "no step came for %.0f s", l->value);
    if (l->since >= 0) {
        add(t, " after step %" PRId64, l->since);
    }
    add(t, ", longer than the %.0f s allowed", l->threshold);
}

static void write_firing(struct text *t, enum rule_id rule, const struct life *l,
                         const struct story *story) {
    switch (rule) {
    case RULE_LOSS_NONFINITE:
        write_nonfinite(t, l, story);
        break;
    case RULE_LOSS_SPIKE:
        write_spike(t, l, story);
        break;
    case RULE_UNSTABLE:
        write_unstable(t, l, story);
        break;
    case RULE_OVERHEATING:
        write_overheating(t, l, story);
        break;
    case RULE_STALLED:
        write_stalled(t, l);
        break;
    case RULE_COUNT:
    default:
        break;
    }
}

// What was, whether it went away by itself or the run ended.
static void write_resolved(struct text *t, enum rule_id rule, const struct life *l,
                           const struct story *story) {
    static const char *const was[RULE_COUNT] = {
        [RULE_LOSS_NONFINITE] = " was NaN or infinite",
        [RULE_LOSS_SPIKE] = " had a jump of its loss",
        [RULE_UNSTABLE] = " was close to instability",
        [RULE_OVERHEATING] = " overheated",
        [RULE_STALLED] = " sent nothing for a while",
    };
    add_subject(t, story);
    if (rule == RULE_STALLED) {
        add(t, "%s after step %" PRId64, was[rule], l->since);
    } else {
        add(t, "%s from step %" PRId64 " on; this ended by step %" PRId64, was[rule], l->since,
            story->watch->step);
    }
}

void summary_write(char text[ALERT_SUMMARY_MAX], enum rule_id rule, const struct life *l,
                   enum life_event event, const struct story *story) {
    struct text t = {.at = text, .left = ALERT_SUMMARY_MAX};
    text[0] = '\0';
    if (event == LIFE_RESOLVED) {
        write_resolved(&t, rule, l, story);
    } else {
        write_firing(&t, rule, l, story);
    }
}
