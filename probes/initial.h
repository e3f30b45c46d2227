// A layer's entropy at step 0 beside the initialisation it stated. Pure.
#ifndef PROBES_INITIAL_H
#define PROBES_INITIAL_H

#include "probes/reference_init.h"

struct initial {
    const char *reason; // NULL, or why there is nothing to compare; a static string
    // Nats, of n parameters. `stated` is the stated distribution's own entropy. The measured one is
    // a normal's of the measured variance, as everywhere; `expected` is a normal's of the stated
    // variance, which is above `stated` unless that is a normal.
    double stated, expected, measured;
    double error; // standard error of `measured` around `expected`, from the stated kurtosis
};

// variance: of the layer's parameters at step 0; num_missing() when not sent. init as checked.
void initial_compare(const struct reference_init *init, double n, double variance,
                     struct initial *out);

#endif
