// The inside of struct thermo, shared by thermo.c and thermo_save.c.
#ifndef PROBES_THERMO_STATE_H
#define PROBES_THERMO_STATE_H

#include "probes/body.h"
#include "probes/engine.h"

struct thermo {
    // Given by the caller at creation, not part of what is saved.
    size_t n_layers;
    double *sizes; // parameters of each layer, then of all together
    // Saved.
    struct run run;
    struct body *bodies;    // the layers, then the whole run
    struct engine *engines; // of the layers
};

#endif
