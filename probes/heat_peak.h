// Peaks of the heat capacity: a run's energy fluctuated far more for its temperature than before
// and after, as it does where a system changes its phase.
//
// C = Cov(E_k, E_k+1) / T^2 over windows of 256 steps, around a straight line, with T the kinetic
// temperature: as heat_capacity.c reads it by fluctuation, but of windows that neither grow nor
// wait for a loss without trend. A peak is told when the lower end of C's interval in one window is
// three times the upper end of its intervals in one before and in one behind, that share no step
// with it. The fluctuation formula [M], that rule [D].
//
// Flat. One thread.
#ifndef PROBES_HEAT_PEAK_H
#define PROBES_HEAT_PEAK_H

#include "probes/phase.h"

#include <stdbool.h>
#include <stdint.h>

#define PEAK_BLOCK 16  // steps
#define PEAK_WINDOW 16 // blocks

struct peak_block {
    int64_t step;                         // its first
    double energy, lagged, pair, kinetic; // means of E_k, of E_k-1, of E_k-1 E_k, of T
};

struct heat_peak {
    double origin, previous; // losses: the first, from which all are taken; the newest, from it
    struct peak_block sum;   // of the block being filled
    struct peak_block ring[PEAK_WINDOW];
    uint64_t blocks;   // complete, since the windows began
    uint64_t readings; // of C
    uint32_t filled;   // steps in the block being filled
    uint32_t pairs;    // that had one before
    struct {
        double value, high;
    } past[PEAK_WINDOW], foot; // the newest readings; the lowest of those before them
    double top, top_low;       // the highest since the foot, and the lower end of its interval
    int64_t top_step;
    uint64_t top_at; // readings then
    uint32_t has_foot, has_top;
};

// Zeroed, or anew.
void heat_peak_begin(struct heat_peak *p);
// A step's loss and kinetic temperature; where either is no number the windows begin anew. True
// with *change filled when a peak has passed.
bool heat_peak_add(struct heat_peak *p, int64_t step, double loss, double kinetic,
                   struct phase_change *change);
bool heat_peak_is_valid(const struct heat_peak *p); // for bytes from outside

#endif
