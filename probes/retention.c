// Retention: the share of the heat by which the loss really fell, (E_0 - E_t) / Q since the state
// began (after a rewind: since then) [D]. A step lowers the loss of the batch it saw; what it takes
// from all data is less by the noise it follows. 0.02 to 0.03 were kept over 6,000 steps at batch
// 64 [E]; where it falls at a constant learning rate only noise is still being fitted.
//
// The interval is Fieller's: of two single losses, and of the summed work.
#include "probes/fieller.h"
#include "probes/instrument.h"

#include <math.h>

#define PAIRS_MIN 8

static void add_interval(const struct run *run, const struct body *b, double fall, double heat,
                         struct reading *r) {
    double low, high, noise = sqrt(run->loss_noise + run->loss_noise_start);
    if (run->loss_pairs < PAIRS_MIN) {
        r->no_interval = REASON_STEPS;
    } else if (fieller_interval(fall, noise, heat, sqrt(b->work_noise), 0, &low, &high)) {
        reading_interval(r, fmin(low, r->value), fmax(high, r->value));
    } else {
        r->no_interval = NO_INTERVAL_UNBOUNDED;
    }
}

void retention_read(const struct view *v, struct reading *r) {
    const struct run *run = v->run;
    double heat = 0 - body_work(v->body), fall = run->loss_work - run->loss;
    if (!v->whole) {
        reading_none(r, REASON_WHOLE_RUN);
    } else if (!body_works(v->body)) {
        reading_none(r, "needs gu");
    } else if (isnan(fall)) {
        reading_none(r, "needs loss");
    } else if (!(heat > 0)) {
        reading_none(r, "undefined: the steps have taken no loss away");
    } else {
        reading_value(r, fall / heat);
        if (v->interval) {
            add_interval(run, v->body, fall, heat, r);
        }
    }
}
