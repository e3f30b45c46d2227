// Phase changes: where a run's course breaks. They annotate the run and page nobody.
#ifndef PROBES_PHASE_H
#define PROBES_PHASE_H

#include <stdint.h>

enum phase_what {
    PHASE_LOSS,   // the level of the loss
    PHASE_OUTPUTS // the distance between successive histograms of outputs
};

struct phase_change {
    enum phase_what what;
    int64_t step;         // at which the new level began
    int64_t found;        // at which that was clear
    double probability;   // that there was a change
    double before, after; // the levels: loss units; nats
};

// "loss", "outputs".
const char *phase_what_name(enum phase_what what);

#endif
