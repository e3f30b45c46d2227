// Phase changes: where a run's course breaks. They annotate the run and page nobody.
#ifndef PROBES_PHASE_H
#define PROBES_PHASE_H

#include <stdint.h>

enum phase_what {
    PHASE_LOSS,         // the level of the loss
    PHASE_ENTROPY,      // the rate at which the run's entropy changes
    PHASE_ENTROPY_JUMP, // the entropy itself, within a block of 16 steps
    PHASE_HEAT,         // the heat capacity went through a peak
    PHASE_OUTPUTS       // the distance between successive histograms of outputs
};

struct phase_change {
    enum phase_what what;
    int64_t step;         // at which the new level began; the peak's
    int64_t found;        // at which that was clear
    double probability;   // that there was a change; num_missing() for a peak
    double before, after; // the levels: loss units; nats a step; nats in 16 steps; nats; nats. Of a
                          // peak: where it rose from, and its height.
};

// "loss", "entropy", "entropy_jump", "heat_capacity", "outputs".
const char *phase_what_name(enum phase_what what);

#endif
