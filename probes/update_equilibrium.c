// The update ratio against its rotational equilibrium: u / u_eq, 1 where learning rate and weight
// decay have settled a layer that a normalisation follows (Kosson et al. 2305.17212 [L], re-derived
// [D]). Far above 1: a transient, or too high a learning rate; far below: decay dominates, or the
// layer is dead.
//
//   SGD, plain or heavy ball    u_eq^2 = 2 eta lam / (1 + mu)
//   AdamW                       u_eq^2 = 2 eta lam (1 - b1) / (1 + b1)
#include "probes/coherence.h"
#include "probes/instrument.h"

#include <math.h>

// u_eq^2 / eta; not above 0 where there is none.
static double equilibrium_of(const struct run *run) {
    double mu = coherence_memory(run);
    enum filter filter = coherence_filter(run);
    if (filter == FILTER_NONE || filter == FILTER_HEAVY_BALL) {
        return 2 * run->weight_decay / (1 + mu);
    }
    bool decoupled = filter == FILTER_ADAM && run->optimizer == OPTIMIZER_ADAMW;
    return decoupled ? 2 * run->weight_decay * (1 - mu) / (1 + mu) : 0;
}

void update_equilibrium_read(const struct view *v, struct reading *r) {
    double equilibrium = equilibrium_of(v->run);
    if (!(v->run->weight_decay > 0)) {
        reading_none(r, "needs a weight_decay above 0");
    } else if (!(equilibrium > 0)) {
        reading_none(r, "known for sgd without Nesterov and adamw only");
    } else if (!read_window(v, COLUMN_KINETIC, COLUMN_WEIGHT2, 1 / equilibrium, r)) {
        read_missing(v, r, STAT_U_VAR, STAT_U_MEAN, STAT_W_VAR, STAT_W_MEAN, NEED_LR);
    } else {
        r->value = sqrt(r->value);
        if (r->has_interval) {
            reading_interval(r, sqrt(fmax(r->low, 0)), sqrt(fmax(r->high, 0)));
        }
    }
}
