// A reading worked out from several averages of one window at once, with the jackknife's interval:
// what blocks have in common in the averages is then counted once, not once an average.
#ifndef PROBES_COMPOSITE_H
#define PROBES_COMPOSITE_H

#include "probes/instrument.h"

// From the averages of the columns asked for; `with` is the caller's. False where it has no value.
typedef bool composite(const double *mean, const void *with, double *value);

// The value, and the interval where v->interval asks for it. False when the window has no step with
// all n columns or f gives no value; the caller then gives the reason.
bool read_composite(const struct view *v, const enum column *columns, size_t n, composite *f,
                    const void *with, struct reading *r);

#endif
