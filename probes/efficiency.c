// Work efficiency of an activation: the mean square behind it over the one before it, <a^2> / <z^2>
// (this project's definition). 1 for linear, 0.5 for ReLU on centred input, towards 0
// when dead.
#include "probes/instrument.h"

#include <math.h>

void efficiency_read(const struct view *v, struct reading *r) {
    const struct ewma_pair *a = &v->body->activation;
    if (v->whole) {
        reading_none(r, "measured layer by layer");
    } else if (!ewma_pair_started(a)) {
        read_missing(v, r, STAT_A_VAR, STAT_A_MEAN, STAT_Z_VAR, STAT_Z_MEAN);
    } else if (!(a->den > 0) || !isfinite(a->num / a->den)) {
        reading_none(r, "undefined: the activation's input is zero");
    } else {
        reading_value(r, a->num / a->den);
        r->no_interval = "an exponentially weighted ratio, without an estimate of its error";
    }
}
