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
        .step = step->step, .loss = step->loss, .lr = step->lr, .batch_size = step->batch_size};
    for (size_t i = 0; i < step->n_columns; i++) {
        if (step->columns[i].stat != STAT_NONE) {
            out->stat[step->columns[i].stat] = step->columns[i].values;
        }
    }
}
