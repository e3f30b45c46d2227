#include "runs/view.h"

#include "base/num.h"

#include <math.h>
#include <string.h>

static double or_default(double x, double fallback) {
    return num_is_missing(x) || !isfinite(x) ? fallback : x;
}

void run_thermo_facts(const struct hello *hello, struct thermo_facts *out) {
    const char *name = hello->optimizer.name ? hello->optimizer.name : "";
    *out = (struct thermo_facts){
        .optimizer = strcmp(name, "sgd") == 0     ? OPTIMIZER_SGD
                     : strcmp(name, "adam") == 0  ? OPTIMIZER_ADAM
                     : strcmp(name, "adamw") == 0 ? OPTIMIZER_ADAMW
                                                  : OPTIMIZER_OTHER,
        .momentum = or_default(hello->optimizer.momentum, 0),
        .nesterov = hello->optimizer.nesterov,
        .beta1 = or_default(hello->optimizer.beta1, 0.9),
        .beta2 = or_default(hello->optimizer.beta2, 0.999),
        .weight_decay = or_default(hello->optimizer.weight_decay, 0),
        .lr = hello->optimizer.lr,
        .batch_size = hello->batch_size,
    };
}

void run_thermo_step(const struct step *step, struct thermo_step *out) {
    *out = (struct thermo_step){
        .step = step->step,
        .loss = step->loss,
        .lr = step->lr,
        .batch_size = step->batch_size,
        .loss_after = step->loss_after,
    };
    for (size_t i = 0; i < step->n_columns; i++) {
        if (step->columns[i].stat != STAT_NONE) {
            out->stat[step->columns[i].stat] = step->columns[i].values;
        }
    }
}

// Scalars are the whole run's, statistics of the job's own the layers'.
static double look_up(const void *context, const char *name, size_t layer) {
    const struct step *step = context;
    const char *dot = strchr(name, '.');
    if (layer == THERMO_GLOBAL) {
        for (size_t i = 0; dot && i < step->n_scalars; i++) {
            if (strcmp(step->scalars[i].name, dot + 1) == 0) {
                return step->scalars[i].value;
            }
        }
        return num_missing();
    }
    for (size_t i = 0; i < step->n_columns; i++) {
        if (step->columns[i].stat == STAT_NONE && strcmp(step->columns[i].name, name) == 0) {
            return step->columns[i].values[layer];
        }
    }
    return num_missing();
}

void run_alerts_input(const struct step *step, const struct thermo_step *view,
                      struct alerts_input *out) {
    *out = (struct alerts_input){.step = view,
                                 .time = step->time,
                                 .val_loss = step->val_loss,
                                 .loss_after = step->loss_after,
                                 .lookup = look_up,
                                 .lookup_context = step};
}
