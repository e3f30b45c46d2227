// The table of the built-in rules: names, what they mean, how they judge, and the settings in force
// without a configuration. docs/alerting.md tells how the defaults were found.
#include "alerts/state.h"

#include "base/num.h"

#include <string.h>

const struct builtin builtins[RULE_COUNT] = {
    [RULE_LOSS_NONFINITE] =
        {
            .name = "loss_nonfinite",
            .help =
                "The loss, or a layer's weights, gradient or update, is NaN or infinite. The value "
                "is the number of such steps in a row.",
            .reach = REACH_APART,
            .look = NULL,
            .describe = nonfinite_describe,
            .was = "was NaN or infinite",
            .initial = {.severity = SEVERITY_CRITICAL,
                        .fire_above = 0,
                        .clear_below = 1,
                        .for_steps = 1,
                        .keep_firing_steps = 20},
        },
    [RULE_LOSS_SPIKE] =
        {
            .name = "loss_spike",
            .help =
                "The loss is far above its trend, alone or together with the gradient. The value "
                "is the robust z-score of the logarithm of the loss over the last 128 steps.",
            .reach = REACH_RUN,
            .look = spike_look,
            .describe = spike_describe,
            .was = "had a jump of its loss",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 8,
                        .clear_below = 3,
                        .for_steps = 1,
                        .keep_firing_steps = 5,
                        .warmup_steps = 256},
        },
    [RULE_UNSTABLE] =
        {
            .name = "unstable",
            .help =
                "A layer, or the run, comes close to the edge of stability, above its own healthy "
                "level. The value is the stability fraction; 1 is the edge.",
            .reach = REACH_LAYERS,
            .look = unstable_look,
            .describe = unstable_describe,
            .was = "was close to instability",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 0.15,
                        .clear_below = 0.1,
                        .for_steps = 20,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_OVERHEATING] =
        {
            .name = "overheating",
            .help =
                "A layer, or the run, moves far more than it used to at the same learning rate and "
                "batch size. The value is the robust z-score of the logarithm of its kinetic "
                "temperature over the last 128 steps.",
            .reach = REACH_LAYERS,
            .look = overheating_look,
            .describe = overheating_describe,
            .was = "overheated",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 8,
                        .clear_below = 4,
                        .for_steps = 20,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_STALLED] =
        {
            .name = "stalled",
            .help =
                "No step came for longer than allowed although the run has not ended. The value is "
                "the silence in seconds.",
            .reach = REACH_APART,
            .look = NULL,
            .describe = stalled_describe,
            .was = "sent nothing for a while",
            .initial = {.severity = SEVERITY_CRITICAL, .for_steps = 1},
        },
};

const char *rule_name(enum rule_id id) {
    return builtins[id].name;
}

const char *rule_help(enum rule_id id) {
    return builtins[id].help;
}

bool rule_find(const char *name, enum rule_id *id) {
    for (enum rule_id i = 0; i < RULE_COUNT; i++) {
        if (strcmp(builtins[i].name, name) == 0) {
            *id = i;
            return true;
        }
    }
    return false;
}

struct rule rule_default(enum rule_id id) {
    struct rule r = builtins[id].initial;
    r.id = id;
    r.name = builtins[id].name;
    r.enabled = true;
    r.fire_below = r.clear_above = num_missing();
    return r;
}

const char *severity_name(enum severity s) {
    static const char *const names[] = {"info", "warning", "critical"};
    return names[s];
}

const char *alert_state_name(enum alert_state s) {
    static const char *const names[] = {"pending", "firing", "resolved"};
    return names[s];
}
