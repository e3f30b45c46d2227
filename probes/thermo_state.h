// The inside of struct thermo, shared by thermo.c and thermo_save.c.
#ifndef PROBES_THERMO_STATE_H
#define PROBES_THERMO_STATE_H

#include "probes/body.h"
#include "probes/engine.h"
#include "probes/thermo.h"

struct thermo {
    // Not part of what is saved: given by the caller at creation, or made anew at each step.
    size_t n_layers;
    double *sizes;         // parameters of each layer, then of all together
    struct thermo_now now; // of the newest step
    // Saved.
    struct run run;
    struct body *bodies;    // the layers, then the whole run
    struct engine *engines; // of the layers
};

#endif
