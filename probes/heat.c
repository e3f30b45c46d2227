// Heat: the loss that the steps since the state began have taken away on the batches they saw, to
// first order, Q = -sum g.dw, loss units. More than the loss really fell by, because
// part of every step fits that batch's noise. Plain SGD needs no `gu`: there -g.dw = eta |g|^2.
#include "probes/instrument.h"

#include <math.h>

void heat_read(const struct view *v, struct reading *r) {
    if (!body_works(v->body)) {
        reading_none(r, "needs gu");
        return;
    }
    double newest = isnan(v->body->gu) ? 0 : v->body->gu;
    reading_value(r, 0 - (body_work(v->body) + newest));
    r->no_interval = "a sum over the steps, not an estimate";
}
