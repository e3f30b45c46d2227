// The transition temperature T = (E_t - E_0) / (S_t - S_0), loss units per nat, from the beginning
// of the state to now. The endpoints are raw, so that it can be checked by hand.
//
// A layer's dE is its own share of the work, sum g.dw, and dS is taken over the same steps (after a
// rewind both start anew). Where the job sends no `gu` and the optimizer is not plain SGD, dE is
// the whole run's.
//
// The interval: dE carries the noise of two single losses (of the summed work, for a layer), dS its
// own step-to-step variance; Fieller's set for the ratio.
#include "probes/entropy.h"
#include "probes/fieller.h"
#include "probes/instrument.h"

#include <math.h>

#define PAIRS_MIN 8

struct chord {
    double de, ds; // changes of energy and entropy
    double var_de, var_ds;
    double size; // parameters whose entropy it is
    bool known_noise;
};

static void take_loss(const struct run *run, struct chord *c) {
    c->de = run->loss - run->loss_start;
    c->var_de = run->loss_noise + run->loss_noise_start;
    c->known_noise = run->loss_pairs >= PAIRS_MIN;
}

static const char *whole_chord(const struct view *v, struct chord *c) {
    if (isnan(v->run->loss_start)) {
        return "needs loss";
    }
    if (!(v->run->entropy_size > 0)) {
        return "needs w_var";
    }
    take_loss(v->run, c);
    c->ds = v->run->entropy;
    c->var_ds = v->run->entropy_noise;
    c->size = v->run->entropy_size;
    return NULL;
}

static const char *layer_chord(const struct view *v, struct chord *c) {
    const struct body *b = v->body;
    bool own = body_works(b);
    double origin = own ? b->variance_work : b->variance_state;
    if (v->n < ENTROPY_SIZE_MIN) {
        return "needs at least 8 parameters";
    }
    if (isnan(b->variance)) {
        return "needs w_var";
    }
    if (!(b->variance > 0) || !(origin > 0)) {
        return b->variance > 0 ? REASON_STEPS : REASON_COLLAPSED;
    }
    if (own) {
        c->de = body_work(b);
        c->var_de = b->work_noise;
        c->known_noise = true;
    } else if (isnan(v->run->loss_start)) {
        return "needs gu";
    } else {
        take_loss(v->run, c);
    }
    c->ds = entropy_change(v->n, origin, b->variance);
    c->size = v->n;
    return NULL;
}

static void add_interval(const struct chord *c, struct reading *r) {
    double low, high;
    if (!c->known_noise) {
        r->no_interval = REASON_STEPS;
    } else if (fieller_interval(c->de, sqrt(c->var_de), c->ds, sqrt(c->var_ds), 0, &low, &high)) {
        // The set holds de / ds; only rounding can put it outside.
        reading_interval(r, fmin(low, r->value), fmax(high, r->value));
    } else {
        r->no_interval = NO_INTERVAL_UNBOUNDED;
    }
}

void transition_read(const struct view *v, struct reading *r) {
    struct chord c = {0};
    const char *reason = v->whole ? whole_chord(v, &c) : layer_chord(v, &c);
    if (reason) {
        reading_none(r, reason);
    } else if (fabs(c.ds) < entropy_resolution(c.size) || !isfinite(c.de / c.ds)) {
        reading_none(r, REASON_UNRESOLVED);
    } else {
        reading_value(r, c.de / c.ds);
        if (v->interval) {
            add_interval(&c, r);
        }
    }
}
