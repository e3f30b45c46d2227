// A run's entry of readings over time, and the state of its instruments on the way, as operations
// for the writer. Loop thread.
#ifndef DAEMON_READING_H
#define DAEMON_READING_H

#include "daemon/op.h"
#include "runs/run.h"

// What the instruments read behind the newest step. NULL when there is no memory for it: then the
// series of readings lack a point.
struct op *reading_op(const struct run *r);
// Likewise: then more steps are worked out again for some series.
struct op *waypoint_op(const struct run *r);

#endif
