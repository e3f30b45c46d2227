// Work efficiency of an activation: the mean square behind it over the one before it, <a^2> / <z^2>
// (this project's definition). 1 for linear, 0.5 for ReLU on centred input, towards 0
// when dead.
#include "probes/instrument.h"

#include <math.h>

void efficiency_read(const struct view *v, struct reading *r) {
    const struct engine *e = v->engine;
    if (v->whole) {
        reading_none(r, "measured layer by layer");
    } else if (isnan(e->in2)) {
        read_missing(v, r, STAT_A_VAR, STAT_A_MEAN, STAT_Z_VAR, STAT_Z_MEAN);
    } else if (!(e->in2 > 0) || !isfinite(e->out2 / e->in2)) {
        reading_none(r, "undefined: the activation's input is zero");
    } else {
        reading_value(r, e->out2 / e->in2);
        r->no_interval = "an exponentially weighted ratio, without an estimate of its error";
    }
}
