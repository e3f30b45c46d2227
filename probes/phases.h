// What finds the phase changes of a run as its steps come. Flat; one thread.
#ifndef PROBES_PHASES_H
#define PROBES_PHASES_H

#include "base/buf.h"
#include "probes/entropy_course.h"
#include "probes/heat_peak.h"
#include "probes/loss_course.h"
#include "probes/thermo.h"

#define PHASES_MAX 3 // changes that one step may bring to light

struct phases {
    struct loss_course loss;
    struct entropy_course entropy;
    struct heat_peak heat;
};

// Zeroed, or anew.
void phases_begin(struct phases *p);
// The data was refreshed.
void phases_refresh(struct phases *p);
// The step that `thermo` has just observed, and its loss. Returns how many changes it brought to
// light.
size_t phases_add(struct phases *p, const struct thermo *thermo, double loss,
                  struct phase_change changes[PHASES_MAX]);

void phases_save(const struct phases *p, struct buf *out);
// How many bytes were taken, 0 when they are no saved phases; *p is then void.
size_t phases_load(struct phases *p, const void *bytes, size_t size);

#endif
