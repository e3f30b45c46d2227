// The names of the metrics, as the REST API writes them.
#ifndef PROBES_METRIC_H
#define PROBES_METRIC_H

#include "probes/reading.h"

// "kinetic", "stability" ... without the "temperature." in front of a thermometer.
const char *metric_name(enum metric m);
// True for the six temperatures: transition, differential, kinetic, configurational, noise,
// velocity.
bool metric_is_temperature(enum metric m);
// Takes "temperature.kinetic" for a temperature and the plain name for everything else.
bool metric_find(const char *name, enum metric *m);
// "condensing", "spontaneous", "heating", "quenching", "quasi-static".
const char *quadrant_name(enum quadrant q);

#endif
