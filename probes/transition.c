// The transition temperature T = (E_t - E_0) / (S_t - S_0), loss units per nat, from the beginning
// of the state to now. The endpoints are raw, so that it can be checked by hand.
//
// A layer's dE is its own share of the work, sum g.dw, and dS is taken over the same steps (after a
// rewind both start anew). Where the job sends no `gu` and the optimizer is not plain SGD, dE is
// the whole run's.
//
// The interval: dE carries the noise of two single losses (of the summed work, for a layer), dS
// that of two entropies, which may go with it (course.h); Fieller's set for the ratio.
#include "probes/entropy.h"
#include "probes/fieller.h"
#include "probes/instrument.h"

#include <math.h>

struct chord {
    double de, ds; // changes of energy and entropy
    double size;   // parameters whose entropy it is
    double var_de, var_ds, covariance;
    double freedom; // degrees of freedom of these; 0: the noise is not known
};

// Both ends, with the degrees of freedom that Welch and Satterthwaite give the noise across the
// chord.
static void take_noise(const struct run *run, struct chord *c) {
    struct course_noise last, first;
    if (!(fabs(c->ds) > 0) || !course_noise(&run->course, &last, &first)) {
        return; // without a change of entropy there is no ratio to be uncertain
    }
    double slope = c->de / c->ds, across[2];
    c->var_de = last.energy + first.energy;
    c->covariance = last.both + first.both;
    c->var_ds = last.entropy + first.entropy;
    across[0] = last.energy - 2 * slope * last.both + slope * slope * last.entropy;
    across[1] = first.energy - 2 * slope * first.both + slope * slope * first.entropy;
    double sum = across[0] + across[1];
    double parts = across[0] * across[0] / last.freedom + across[1] * across[1] / first.freedom;
    c->freedom = parts > 0 ? sum * sum / parts : last.freedom;
}

static void take_loss(const struct run *run, struct chord *c) {
    c->de = run->loss - run->loss_start;
    take_noise(run, c);
}

static const char *whole_chord(const struct view *v, struct chord *c) {
    if (isnan(v->run->loss_start)) {
        return "needs loss";
    }
    if (!(v->run->entropy_size > 0)) {
        return "needs w_var";
    }
    c->ds = v->run->entropy;
    c->size = v->run->entropy_size;
    take_loss(v->run, c);
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
    c->ds = entropy_change(v->n, origin, b->variance);
    c->size = v->n;
    if (own) {
        c->de = body_work(b);
        c->var_de = b->work_noise;
        c->freedom = HUGE_VAL;
    } else if (isnan(v->run->loss_start)) {
        return "needs gu";
    } else {
        take_loss(v->run, c);
        c->var_ds = c->covariance = 0; // those of the whole run
    }
    return NULL;
}

static void add_interval(const struct chord *c, struct reading *r) {
    double low, high;
    if (!(c->freedom >= 1)) {
        r->no_interval = REASON_STEPS;
        return;
    }
    double wide = student_t975((unsigned)fmin(c->freedom, 1e6)) / NORMAL_975;
    if (fieller_interval(c->de, wide * sqrt(c->var_de), c->ds, wide * sqrt(c->var_ds),
                         wide * wide * c->covariance, &low, &high)) {
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
