#include "probes/phase.h"

const char *phase_what_name(enum phase_what what) {
    static const char *const names[] = {
        [PHASE_LOSS] = "loss",
        [PHASE_ENTROPY] = "entropy",
        [PHASE_ENTROPY_JUMP] = "entropy_jump",
        [PHASE_HEAT] = "heat_capacity",
        [PHASE_OUTPUTS] = "outputs",
    };
    return names[what];
}
