// The configurational temperature: the virial T = <w.g> / n, loss units per degree of freedom
// (Wenzel et al. 2020, Yaida 2018). Relative to the origin, so it means a
// temperature only where the run is stationary; `equilibrium` tells whether it is.
//
// Where its equality with the kinetic temperature is exact and the window shows no difference, the
// interval is that of the kinetic one and of the difference: w.g alone scatters by what one block
// lends the next.
#include "probes/coherence.h"
#include "probes/instrument.h"

#include <math.h>

static void narrow_interval(const struct view *v, struct reading *r) {
    double expected = (1 + coherence_memory(v->run)) / 2, mean;
    const struct ledger *l = &v->body->ledger;
    struct spread kinetic = ledger_spread(l, COLUMN_KINETIC, COLUMN_NONE), difference;
    if (kinetic.groups >= LEDGER_GROUPS_MIN &&
        ledger_ratio(l, COLUMN_KINETIC, COLUMN_NONE, &mean) &&
        ledger_balance(l, COLUMN_GW, COLUMN_KINETIC, expected, &difference)) {
        double error = hypot(expected * kinetic.error, mean * difference.error);
        reading_around(r, student_t975(kinetic.groups - 1) * error);
    }
}

void configurational_read(const struct view *v, struct reading *r) {
    if (body_is_frozen(v->body)) {
        reading_none(r, REASON_FROZEN);
    } else if (!read_window(v, COLUMN_GW, COLUMN_NONE, 1, r)) {
        read_missing(v, r, STAT_GW);
    } else if (v->interval && equilibrium_is_exact(v->run)) {
        narrow_interval(v, r);
    }
}
