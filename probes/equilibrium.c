// Equilibrium: 1 where the run is stationary. Configurational over kinetic temperature
// where their equality is exact: SGD, plain or heavy ball, whose `gw` is sent and whose gradient is
// all that moves it (no weight decay). Otherwise rho = 1 - D, the same statement from norms alone,
// for every optimizer.
#include "probes/stationary.h"
#include "probes/coherence.h"

#include <math.h>

#define REACHED_WIDTH 0.3 // half the interval

static void from_drift(const struct view *v, struct reading *r) {
    drift_read(v, r);
    if (!r->reason) {
        double low = 1 - r->high, high = 1 - r->low;
        r->value = 1 - r->value;
        if (r->has_interval) {
            reading_interval(r, low, high);
        }
    }
}

bool equilibrium_is_exact(const struct run *run) {
    enum filter filter = coherence_filter(run);
    return (filter == FILTER_NONE || filter == FILTER_HEAVY_BALL) && !(fabs(run->weight_decay) > 0);
}

bool equilibrium_is_reached(const struct reading *r) {
    return !r->reason && r->has_interval && r->low <= 1 && r->high >= 1 &&
           (r->high - r->low) / 2 < REACHED_WIDTH;
}

static bool from_virial(const struct view *v, struct reading *r) {
    struct uncertainty u;
    double mu = coherence_memory(v->run);
    if (!equilibrium_is_exact(v->run) ||
        !read_window(v, COLUMN_GW, COLUMN_KINETIC, 2 / (1 + mu), r)) {
        return false;
    }
    if (v->interval && stationary_equilibrium(v, &u)) {
        reading_around(r, student_t975(u.freedom) * u.error);
    }
    return true;
}

void equilibrium_read(const struct view *v, struct reading *r) {
    if (body_is_frozen(v->body)) {
        reading_none(r, REASON_FROZEN);
    } else if (!from_virial(v, r)) {
        from_drift(v, r);
    }
}
