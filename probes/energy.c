// Energy E. Of the run: the newest loss. It is the loss of one batch, so its interval is that of a
// single draw: E +- 1.96 s, with s^2 = <(E_k+1 - E_k)^2> / 2 over recent steps, which a slow trend
// hardly touches. Of a layer: its share of the work done on the loss, sum g.dw from the state's
// beginning up to the newest state; the shares add up to the first-order change of the
// loss on the batches seen. Its interval comes in the same way from the differences of neighbouring
// terms, summed.
#include "probes/instrument.h"

#include <math.h>

#define PAIRS_MIN 8

static void read_whole(const struct view *v, struct reading *r) {
    if (isnan(v->run->loss)) {
        reading_none(r, "needs loss");
        return;
    }
    reading_value(r, v->run->loss);
    if (v->run->loss_pairs < PAIRS_MIN) {
        r->no_interval = REASON_STEPS;
    } else {
        reading_around(r, NORMAL_975 * sqrt(v->run->loss_noise));
    }
}

static void read_layer(const struct view *v, struct reading *r) {
    if (!body_works(v->body)) {
        reading_none(r, "needs gu");
        return;
    }
    reading_value(r, body_work(v->body));
    reading_around(r, NORMAL_975 * sqrt(v->body->work_noise));
}

void energy_read(const struct view *v, struct reading *r) {
    if (v->whole) {
        read_whole(v, r);
    } else {
        read_layer(v, r);
    }
}
