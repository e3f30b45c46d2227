// Update ratio: |dw| / |w|, root mean squares over the window. About 1e-3 in healthy
// training; settles at an equilibrium of learning rate and weight decay in layers followed by a
// normalisation.
#include "probes/instrument.h"

#include <math.h>

void update_ratio_read(const struct view *v, struct reading *r) {
    if (!read_window(v, COLUMN_UPDATE2, COLUMN_WEIGHT2, 1, r)) {
        double weight2;
        if (ledger_ratio(&v->body->ledger, COLUMN_WEIGHT2, COLUMN_NONE, &weight2) &&
            !(weight2 > 0)) {
            reading_none(r, "undefined: all weights are zero");
        } else {
            read_missing(v, r, STAT_U_VAR, STAT_U_MEAN, STAT_W_VAR, STAT_W_MEAN);
        }
        return;
    }
    r->value = sqrt(r->value);
    if (r->has_interval) {
        reading_interval(r, sqrt(fmax(r->low, 0)), sqrt(fmax(r->high, 0)));
    }
}
