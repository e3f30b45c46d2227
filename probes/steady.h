// Does a window still show one and the same thing? Two questions to a ledger, answered from what
// its blocks differ by, in the columns that thermometers read. Pure functions but for the memory of
// the scatter.
//
// Upwards cube roots are compared: those of averages of squares are nearly normal however few
// squares there are (Wilson and Hilferty 1931), so that one coordinate's bursts do not pass for a
// change.
#ifndef PROBES_STEADY_H
#define PROBES_STEADY_H

#include "probes/ledger.h"

// Of a ledger with all its rows complete: in the kinetic energy, the virial w.g and the lag ratio
// the older and the newer half agree as far as the differences of neighbouring blocks allow (von
// Neumann's, which a trend hardly inflates), and the oldest block, where a transient would be, is
// one of the others'. False as well when none of the three is measured.
bool steady_may_merge(const struct ledger *l);

// The fresh steps, or the block that they complete, are beyond all scatter of what came before.
// Learns the scatter of fresh steps around the window; what is far outside counts for less, lest a
// change widens the scatter before it is seen.
bool steady_breaks(struct ledger *l);

#endif
