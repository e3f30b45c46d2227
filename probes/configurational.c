// The configurational temperature: the virial T = <w.g> / n, loss units per degree of freedom
// (Wenzel et al. 2020, Yaida 2018). Relative to the origin, so it means a
// temperature only where the run is stationary; `equilibrium` tells whether it is.
//
// Under SGD part of it telescopes; stationary.h tells the interval then.
#include "probes/stationary.h"

void configurational_read(const struct view *v, struct reading *r) {
    struct uncertainty u;
    if (body_is_frozen(v->body)) {
        reading_none(r, REASON_FROZEN);
    } else if (!read_window(v, COLUMN_GW, COLUMN_NONE, 1, r)) {
        read_missing(v, r, STAT_GW);
    } else if (v->interval && equilibrium_is_exact(v->run) && stationary_virial(v, &u)) {
        reading_around(r, student_t975(u.freedom) * u.error);
    }
}
