// Work done by the data: the first layer's outputs change size though its weights do not, so its
// inputs have changed.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

void data_shift_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    const struct gain *g = &look->a->watch.gain;
    double fast = g->of[GAIN_FAST].z, slow = g->of[GAIN_SLOW].z;
    double z = fabs(fast) > fabs(slow) ? fast : slow;
    *f = (struct finding){.clear = fabs(z) < r->clear_below,
                          .severity = r->severity,
                          .value = z,
                          .threshold = r->fire_above};
    f->fire = look->warmed_up && fabs(z) > r->fire_above;
}

void data_shift_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t,
             "the inputs %s: what the first layer makes of them has changed by %.3g times what is "
             "usual, without its weights, since step %" PRId64,
             l->value > 0 ? "grow" : "shrink", fabs(l->value), l->since);
}
