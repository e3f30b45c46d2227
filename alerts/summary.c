// The sentences that people read.
#include "alerts/state.h"

#include <inttypes.h>

void stalled_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t, "no step came for %.0f s", l->value);
    if (l->since >= 0) {
        text_add(t, " after step %" PRId64, l->since);
    }
    text_add(t, ", longer than the %.0f s allowed", l->threshold);
}

// "stability of layer fc1 is 0.3, over 0.2 for 20 steps (my_rule)"
static void describe_own(struct text *t, unsigned rule, const struct life *l,
                         const struct story *story) {
    const struct alerts *a = story->a;
    const char *metric = a->sources[rule - RULE_COUNT].name;
    text_add(t, "%s: %s of ", rule_name_of(a, rule), metric ? metric : "the metric");
    text_add_subject(t, story->layer);
    text_add(t, " is %.4g, %s %.4g for %" PRIu32 " step%s", l->value,
             l->value < l->threshold ? "under" : "over", l->threshold, l->held,
             text_plural(l->held));
}

// What was, whether it went away by itself or the run ended.
static void describe_end(struct text *t, unsigned rule, const struct life *l,
                         const struct story *story) {
    const struct alerts *a = story->a;
    text_add_subject(t, story->layer);
    if (rule < RULE_COUNT) {
        text_add(t, " %s", builtins[rule].was);
    } else {
        text_add(t, " fulfilled the condition of %s", rule_name_of(a, rule));
    }
    if (rule == RULE_STALLED) {
        text_add(t, " after step %" PRId64, l->since);
    } else {
        text_add(t, " from step %" PRId64 " on; this ended by step %" PRId64, l->since,
                 a->watch.step);
    }
}

void summary_write(char text[ALERT_SUMMARY_MAX], unsigned rule, const struct life *l,
                   enum life_event event, const struct story *story) {
    struct text t = {.at = text, .left = ALERT_SUMMARY_MAX};
    text[0] = '\0';
    if (event == LIFE_RESOLVED) {
        describe_end(&t, rule, l, story);
    } else if (rule < RULE_COUNT) {
        builtins[rule].describe(&t, l, story);
    } else {
        describe_own(&t, rule, l, story);
    }
}
