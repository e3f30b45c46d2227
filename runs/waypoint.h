// States of a run's instruments that are kept on the way, so that what they read at any step can be
// worked out again from the last one before it. Made by counting an attempt's steps, so that stops
// and kills change nothing in them.
#ifndef RUNS_WAYPOINT_H
#define RUNS_WAYPOINT_H

#include "runs/run.h"

// Whether one belongs behind the newest step, which takes `step_bytes`.
bool waypoint_is_due(const struct run *r, size_t step_bytes);
void waypoint_save(const struct run *r, struct buf *out);
// Of instruments for the same layers. False: not of this version; *n_events: of the run so far.
bool waypoint_load(struct thermo *t, const void *bytes, size_t size, int64_t *n_events);

#endif
