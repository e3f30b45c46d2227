// The kinetic temperature, loss units per degree of freedom:
//   plain SGD and heavy ball: T = (1 + mu) / (2 n) <|dw|^2 / eta>, equal to the configurational one
//   in equilibrium whatever the loss, the noise and the learning rate (Yaida 2018); Nesterov, Adam,
//   AdamW and others: <|dw|^2 / eta> / (2 n), a scale without that exact meaning.
#include "probes/coherence.h"
#include "probes/instrument.h"

double kinetic_scale(const struct run *run) {
    return coherence_filter(run) == FILTER_HEAVY_BALL ? (1 + run->momentum) / 2 : 0.5;
}

void kinetic_read(const struct view *v, struct reading *r) {
    double scale = kinetic_scale(v->run);
    if (body_is_frozen(v->body)) {
        reading_value(r, 0);
        reading_interval(r, 0, 0);
    } else if (!read_window(v, COLUMN_KINETIC, COLUMN_NONE, scale, r)) {
        read_missing(v, r, STAT_U_VAR, STAT_U_MEAN, NEED_LR);
    } else {
        reading_not_negative(r);
    }
}
