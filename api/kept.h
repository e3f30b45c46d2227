// Series of instruments from the readings that the store kept as the run went (runs/readings.h).
//
// Working them out again from the run's steps gives every step and is what a short run gets, and a
// short range of a long one, from the waypoint before it on.
#ifndef API_KEPT_H
#define API_KEPT_H

#include "api/draw.h"
#include "runs/history.h"

// Whether this is drawn from what was kept: the run is long, and the readings are there from each
// attempt's first step on (an older version kept none), or its first steps are not. 1, 0, -1 for an
// error of the store.
int kept_are_wanted(struct drawing *d) WARN_UNUSED;
// Whether the range is short enough to ask for that.
bool kept_may_be_spared(const struct drawing *d);
// Whether a walk from the waypoint that the history found is short enough to be taken instead. 1,
// 0, -1.
int kept_are_spared(struct drawing *d, const struct history *h) WARN_UNUSED;
// The column of an instrument's readings, of a layer or of the whole run.
struct column_key kept_column(const struct select_metric *m, bool layered);
// Adds what the run reads now, with its intervals, when it is live: newer than what was kept. False
// when memory is gone.
bool kept_add_live(struct drawing *d) WARN_UNUSED;

#endif
