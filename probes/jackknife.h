// Delete-a-group jackknife: how much an estimate changes when one group of steps is
// left out.
#ifndef PROBES_JACKKNIFE_H
#define PROBES_JACKKNIFE_H

#include <stddef.h>

// The standard error from the g estimates that leave one group out each; 0 for fewer than two.
double jackknife_error(const double *left_out, size_t g);

#endif
