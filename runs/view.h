// What the thermometers and alerts see of the messages of the wire. No I/O, no store.
#ifndef RUNS_VIEW_H
#define RUNS_VIEW_H

#include "alerts/alerts.h"
#include "probes/thermo.h"
#include "wire/hello.h"
#include "wire/step.h"

// Points into *step, whose memory must outlive it.
void run_thermo_step(const struct step *step, struct thermo_step *out);
// `view` must be of the same step; the result points to both.
void run_alerts_input(const struct step *step, const struct thermo_step *view,
                      struct alerts_input *out);
void run_thermo_facts(const struct hello *hello, struct thermo_facts *out);

#endif
