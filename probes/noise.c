// The nominal noise temperature T = eta s^2 / (2 B (1 - mu)), loss units per degree of freedom,
// with s^2 the gradient's variance over single samples. What the learning rate, the
// batch size and the data alone would heat the layer to, far from the edge of stability. Adam's
// preconditioner is left out.
#include "probes/instrument.h"

void noise_read(const struct view *v, struct reading *r) {
    double mu = v->run->optimizer == OPTIMIZER_SGD ? v->run->momentum : 0;
    if (!(mu >= 0 && mu < 1)) {
        reading_none(r, "needs a momentum between 0 and 1");
    } else if (!read_window(v, COLUMN_NOISE, COLUMN_NONE, 1 / (2 * (1 - mu)), r)) {
        read_missing(v, r, STAT_G_NOISE, NEED_LR, NEED_BATCH);
    }
}
