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
            .reads = "loss,g_var,w_var",
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
    [RULE_SKIPPED_STEPS] =
        {
            .name = "skipped_steps",
            .help = "The optimizer skips many steps because gradients overflow (loss scaling). The "
                    "value is their share of the last 200 steps.",
            .reads = "loss,g_var",
            .reach = REACH_APART,
            .look = NULL,
            .describe = skipped_describe,
            .was = "had many steps skipped",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 0.05,
                        .clear_below = 0.025,
                        .for_steps = 1,
                        .keep_firing_steps = 1},
        },
    [RULE_UNACCOUNTED] =
        {
            .name = "unaccounted",
            .help =
                "A layer's weights changed by more than the optimizer's update: something else "
                "wrote to them. The value is the remainder in units of the largest in good times.",
            .reads = "w_var,u_var",
            .reach = REACH_LAYERS,
            .look = unaccounted_look,
            .describe = unaccounted_describe,
            .was = "had weights changed behind the optimizer's back",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 10,
                        .clear_below = 1,
                        .for_steps = 1,
                        .keep_firing_steps = 20,
                        .warmup_steps = 64},
        },
    [RULE_FREEZING] =
        {
            .name = "freezing",
            .help = "A layer gets no gradient any more while others do. The value is the number of "
                    "such steps in a row.",
            .reads = "g_var,u_var",
            .reach = REACH_LAYERS,
            .look = freezing_look,
            .describe = freezing_describe,
            .was = "got no gradient",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 2,
                        .clear_below = 1,
                        .for_steps = 1,
                        .keep_firing_steps = 1,
                        .warmup_steps = 64},
        },
    [RULE_LEARNING_RATE] =
        {
            .name = "learning_rate",
            .help = "The learning rate is far above what the run has shown to bear, or jumped "
                    "beyond it. The value is how many times.",
            .reads = "lr,loss",
            .reach = REACH_RUN,
            .look = learning_rate_look,
            .describe = learning_rate_describe,
            .was = "had a learning rate far above what it had shown to bear",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 5,
                        .clear_below = 2.5,
                        .for_steps = 1,
                        .keep_firing_steps = 20,
                        .warmup_steps = 256},
        },
    [RULE_QUENCHING] =
        {
            .name = "quenching",
            .help = "The weights of most layers shrink faster than they used to. The value is the "
                    "z-score of their growth a step, or what they lost over some 64 steps in "
                    "600ths of their size (in quarters of what the run usually loses, or twice a "
                    "step's scatter, where that is more).",
            .reads = "w_var,lr",
            .reach = REACH_CROWD,
            .look = quenching_look,
            .describe = quenching_describe,
            .was = "had weights shrink in unison",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 12,
                        .clear_below = 4,
                        .for_steps = 2,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_SHOCK] =
        {
            .name = "shock",
            .help = "A layer's gradient, update or outputs jump, or its outputs fall. The value is "
                    "the z-score of the logarithm of their size; the gradient's counts half, its "
                    "lead over all other layers' twice, two steps' falls are added.",
            .reads = "g_var,u_var,z_var",
            .reach = REACH_LAYERS,
            .look = shock_look,
            .describe = shock_describe,
            .was = "had a scale jump",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 12,
                        .clear_below = 4,
                        .for_steps = 1,
                        .keep_firing_steps = 20,
                        .warmup_steps = 256},
        },
    [RULE_DATA_SHIFT] =
        {
            .name = "data_shift",
            .help = "The first layer's outputs change size though its weights do not: other "
                    "inputs. The value is the change over 32 or 96 steps, whichever is larger in "
                    "units of what is usual.",
            .reads = "z_var,w_var",
            .reach = REACH_RUN,
            .look = data_shift_look,
            .describe = data_shift_describe,
            .was = "had other inputs",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 5,
                        .clear_below = 2,
                        .for_steps = 1,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_LOSS_RISING] =
        {
            .name = "loss_rising",
            .help = "The loss rises without a jump. The value is the cumulative sum of what its "
                    "logarithm lies above its level.",
            .reads = "loss",
            .reach = REACH_RUN,
            .look = loss_rising_look,
            .describe = loss_rising_describe,
            .was = "had a rising loss",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 10,
                        .clear_below = 1,
                        .for_steps = 1,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_LOSS_SPIKE] =
        {
            .name = "loss_spike",
            .help =
                "The loss is far above its trend, alone or together with the gradient, or its "
                "level stepped up. The value is the robust z-score of the logarithm of the loss "
                "over the last 128 steps, or the step in units of its noise.",
            .reads = "loss,g_var",
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
            .help = "A layer, or the run, comes close to the edge of stability, above its own "
                    "healthy "
                    "level. The value is the stability fraction; 1 is the edge.",
            .reads = "stability,loss,lr",
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
            .help = "A layer, or the run, moves far more than it used to at the same learning rate "
                    "and "
                    "batch size. The value is the robust z-score of the logarithm of its kinetic "
                    "temperature over the last 128 steps.",
            .reads = "temperature.kinetic,loss,lr",
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
    [RULE_HEAT_DEATH] =
        {
            .name = "heat_death",
            .help = "The entropy of the outputs has fallen across several data refreshes in a row: "
                    "a model that learns from its own output loses variety. The value is the share "
                    "of the outputs' effective number that is gone.",
            .reads = "outputs.entropy",
            .reach = REACH_RUN,
            .look = heat_death_look,
            .describe = heat_death_describe,
            .was = "had outputs that lost their variety",
            .initial = {.severity = SEVERITY_WARNING,
                        .fire_above = 0.2,
                        .clear_below = 0.1,
                        .for_steps = 1,
                        .keep_firing_steps = 1},
        },
    [RULE_THERMAL_IMBALANCE] =
        {
            .name = "thermal_imbalance",
            .help = "The layers' kinetic temperatures drift apart. The value is the z-score of the "
                    "scatter of their logarithms.",
            .reads = "temperature.kinetic",
            .reach = REACH_RUN,
            .look = thermal_imbalance_look,
            .describe = thermal_imbalance_describe,
            .was = "had layers of very different temperature",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 12,
                        .clear_below = 4,
                        .for_steps = 20,
                        .keep_firing_steps = 50,
                        .warmup_steps = 512},
        },
    [RULE_HEATING] =
        {
            .name = "heating",
            .help = "Loss and entropy both rise significantly: the run takes up heat. The value is "
                    "1 while they do.",
            .reads = "loss,entropy",
            .reach = REACH_RUN,
            .look = heating_look,
            .describe = heating_describe,
            .was = "took up heat",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 0.5,
                        .clear_below = 0.5,
                        .for_steps = 100,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_PHASE_TRANSITION] =
        {
            .name = "phase_transition",
            .help = "The run's course broke: an event phase_change says what changed. The value is "
                    "the probability that it did.",
            .reads = "loss,entropy",
            .reach = REACH_RUN,
            .look = phase_transition_look,
            .describe = phase_transition_describe,
            .was = "changed its phase",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 0.5,
                        .clear_below = 0.5,
                        .for_steps = 1,
                        .keep_firing_steps = 50,
                        .warmup_steps = 256},
        },
    [RULE_EXPLODING_TENSOR] =
        {
            .name = "exploding_tensor",
            .help = "Debugger's: anything is NaN or infinite; loss_nonfinite says where it began. "
                    "The value is the number of such steps in a row.",
            .reads = "loss,g_var,w_var",
            .reach = REACH_APART,
            .look = NULL,
            .describe = exploding_tensor_describe,
            .was = "had values that were NaN or infinite",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 0,
                        .clear_below = 1,
                        .for_steps = 1,
                        .keep_firing_steps = 20},
        },
    [RULE_VANISHING_GRADIENT] =
        {
            .name = "vanishing_gradient",
            .help = "Debugger's: the mean absolute gradient of a layer is tiny, though not zero. "
                    "The value is that mean.",
            .reads = "g_mean,g_var",
            .reach = REACH_LAYERS,
            .look = vanishing_gradient_look,
            .describe = vanishing_gradient_describe,
            .was = "had a vanishing gradient",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_below = 1e-7,
                        .clear_above = 2e-7,
                        .for_steps = 50,
                        .keep_firing_steps = 50,
                        .warmup_steps = 64},
        },
    [RULE_DEAD_RELU] =
        {
            .name = "dead_relu",
            .help = "Debugger's: hardly any of a layer's activations are above zero. The value is "
                    "their share.",
            .reads = "a_active",
            .reach = REACH_LAYERS,
            .look = dead_relu_look,
            .describe = dead_relu_describe,
            .was = "had nearly no active unit",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_below = 0.01,
                        .clear_above = 0.02,
                        .for_steps = 50,
                        .keep_firing_steps = 50,
                        .warmup_steps = 64},
        },
    [RULE_SATURATED_ACTIVATION] =
        {
            .name = "saturated_activation",
            .help = "Debugger's: most of a layer's activations are saturated. The value is their "
                    "share.",
            .reads = "a_saturated",
            .reach = REACH_LAYERS,
            .look = saturated_activation_look,
            .describe = saturated_activation_describe,
            .was = "was saturated",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 0.5,
                        .clear_below = 0.4,
                        .for_steps = 50,
                        .keep_firing_steps = 50,
                        .warmup_steps = 64},
        },
    [RULE_WEIGHT_UPDATE_RATIO] =
        {
            .name = "weight_update_ratio",
            .help = "Debugger's: a layer's updates are far too large, or too small, beside its "
                    "weights. The value is the ratio of their sizes.",
            .reads = "update_ratio",
            .reach = REACH_LAYERS,
            .look = weight_update_ratio_look,
            .describe = weight_update_ratio_describe,
            .was = "had updates out of proportion",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 10,
                        .clear_below = 5,
                        .fire_below = 1e-8,
                        .clear_above = 2e-8,
                        .for_steps = 20,
                        .keep_firing_steps = 50,
                        .warmup_steps = 64},
        },
    [RULE_UNCHANGED_TENSOR] =
        {
            .name = "unchanged_tensor",
            .help = "Debugger's: a layer's weights stay as they are though it once learned. The "
                    "value is the size of its update beside its weights.",
            .reads = "update_ratio",
            .reach = REACH_LAYERS,
            .look = unchanged_tensor_look,
            .describe = unchanged_tensor_describe,
            .was = "did not change",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_below = 1e-12,
                        .clear_above = 1e-12,
                        .for_steps = 3,
                        .keep_firing_steps = 3,
                        .warmup_steps = 64},
        },
    [RULE_POOR_WEIGHT_INITIALIZATION] =
        {
            .name = "poor_weight_initialization",
            .help = "Debugger's: the layers' weights begin with very different variances, and the "
                    "loss does not fall. The value is the largest variance over the smallest.",
            .reads = "loss,w_var",
            .reach = REACH_RUN,
            .look = poor_weight_initialization_look,
            .describe = poor_weight_initialization_describe,
            .was = "began with badly scaled weights",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 10,
                        .clear_below = 10,
                        .for_steps = 5,
                        .keep_firing_steps = 20},
        },
    [RULE_LOSS_NOT_DECREASING] =
        {
            .name = "loss_not_decreasing",
            .help = "Debugger's: the loss is higher than before. The value is by how many percent "
                    "the average of 1000 steps lies over that of the 1000 before.",
            .reads = "loss",
            .reach = REACH_RUN,
            .look = loss_not_decreasing_look,
            .describe = loss_not_decreasing_describe,
            .was = "had a loss that did not fall",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 5,
                        .clear_below = 0,
                        .for_steps = 1,
                        .keep_firing_steps = 1,
                        .warmup_steps = 256},
        },
    [RULE_OVERFIT] =
        {
            .name = "overfit",
            .help = "Debugger's: the validation loss lies above the training loss. The value is by "
                    "which share.",
            .reads = "loss,val_loss",
            .reach = REACH_RUN,
            .look = overfit_look,
            .describe = overfit_describe,
            .was = "overfitted",
            .initial = {.severity = SEVERITY_INFO,
                        .fire_above = 0.1,
                        .clear_below = 0.05,
                        .for_steps = 2,
                        .keep_firing_steps = 2,
                        .warmup_steps = 256},
        },
    [RULE_STALLED] =
        {
            .name = "stalled",
            .help = "No step came for longer than allowed although the run has not ended. The "
                    "value is "
                    "the silence in seconds.",
            .reads = "loss",
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

const char *rule_reads(enum rule_id id) {
    return builtins[id].reads;
}

bool rule_is_of_run(enum rule_id id) {
    enum reach reach = builtins[id].reach;
    bool names_layers = reach == REACH_LAYERS || id == RULE_LOSS_NONFINITE;
    return !names_layers;
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
    // One alert a cause: what loss_nonfinite and grad_nonfinite name is not told twice unless
    // asked.
    r.enabled = id != RULE_EXPLODING_TENSOR;
    if (!(r.fire_below > 0)) {
        r.fire_below = r.clear_above = num_missing();
    } else if (!(r.fire_above > 0)) {
        r.fire_above = r.clear_below = num_missing();
    }
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
