// The free energy F = E - T S, loss units [D]. E and S are the readings `energy` and `entropy`; T
// is the temperature of what the weights are in contact with: `kinetic`, per degree of freedom.
// With it F is smallest where a quadratic is in equilibrium with the noise (U - T S with the loss
// as U is how Sadrtdinov et al. 2505.23489 [L] read a stationary state). Where the updates are not
// sent it is `differential`, the slope dE/dS, of which F is the Legendre transform.
//
// The interval adds the errors of the three as if they were independent.
#include "probes/instrument.h"

#include <math.h>

static double half_width(const struct reading *r) {
    return (r->high - r->low) / 2;
}

static void add_interval(const struct reading *e, const struct reading *s, const struct reading *t,
                         struct reading *r) {
    const struct reading *parts[] = {e, s, t};
    for (int i = 0; i < 3; i++) {
        if (!parts[i]->has_interval) {
            r->no_interval = parts[i]->no_interval;
            return;
        }
    }
    double pair = hypot(s->value * half_width(t), t->value * half_width(s));
    reading_around(r, hypot(half_width(e), pair));
}

void free_energy_read(const struct view *v, struct reading *r) {
    struct reading e, s, t;
    const char *source = "kinetic";
    energy_read(v, &e);
    entropy_read(v, &s);
    kinetic_read(v, &t);
    if (t.reason) {
        struct reading slope;
        differential_read(v, &slope);
        if (!slope.reason) {
            t = slope;
            source = "differential";
        }
    }
    const char *reason = e.reason ? e.reason : s.reason ? s.reason : t.reason;
    if (reason) {
        reading_none(r, reason);
        return;
    }
    reading_value(r, e.value - t.value * s.value);
    r->source = source;
    if (v->interval) {
        add_interval(&e, &s, &t, r);
    }
}
