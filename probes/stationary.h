// Intervals of readings that hang on a balance: over a stationary window something that stays
// bounded ends about where it began, so that what one group of steps puts in the next takes out.
// The jackknife, which takes groups for independent, would give such a sum several times too much
// error. Here the part that telescopes is told apart from the part that adds up, each by its own
// law.
//
//   SGD, plain or heavy ball: sum of w.g = (1 + mu)/2 sum of |dw|^2/eta - (1 - mu)/2 climb/eta
//   + an edge, with climb the change of |w|^2 over the steps. An identity of the optimizer, for any
//   loss and noise: climb telescopes, and the edge is of the size of a single step's w.dw/eta. What
//   moves the weights beside the streamed gradient, as the bath's noise in Langevin dynamics, adds
//   up from step to step. [D]
#ifndef PROBES_STATIONARY_H
#define PROBES_STATIONARY_H

#include "probes/instrument.h"

// A standard error with the degrees of freedom of Student's t that goes with it.
struct uncertainty {
    double error;
    unsigned freedom;
};

// Each is false when it has too few groups, or when the window is not stationary enough for it.
bool stationary_virial(const struct view *v, struct uncertainty *out); // of <w.g>
bool stationary_equilibrium(const struct view *v,
                            struct uncertainty *out);                 // of 2/(1+mu) <w.g>/<kinetic>
bool stationary_drift(const struct view *v, struct uncertainty *out); // of the drift D

#endif
