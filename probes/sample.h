// One layer's numbers of one step, as the instruments want them.
#ifndef PROBES_SAMPLE_H
#define PROBES_SAMPLE_H

#include "probes/thermo.h"

// What a job has sent so far, one bit each: the statistics by their ids, then what the whole run
// has. Readings that have no value name the first key they miss.
enum need {
    NEED_LOSS = STAT_COUNT,
    NEED_LR,      // above zero
    NEED_LR_ZERO, // sent, but zero
    NEED_BATCH,
    NEED_WORK,          // g.dw, sent or derived
    NEED_SMALLER_BATCH, // batch_small, below batch_size
    NEED_NEIGHBOUR,     // a step and the one right before it
    NEED_NOT_NEGATIVE,  // the other way round: a variance below zero was sent
    NEED_COUNT
};

_Static_assert(NEED_COUNT <= 32, "a bit each");
#define SEEN(need) (UINT32_C(1) << (unsigned)(need))

// Means over the layer's parameters; NaN where not measured.
struct sample {
    double weight2, gradient2, update2; // mean squares
    double weight_variance;
    double gw, gu, gu_prev;                      // sums over the parameters, as sent
    double noise;                                // variance of the gradient over samples
    double out2, in2;                            // mean squares behind and before the activation
    double out_mean, in_mean, active, saturated; // see probes/engine.h
    double small2;      // mean square of the gradient over smaller batches, of
    double batch_small; // this size
    double alpha;       // the spectrum's tail exponent
    uint32_t seen;
    bool finite;         // nothing was NaN, infinite or beyond all measure (1e100)
    bool weights_finite; // the same for the weights alone
};

struct sample sample_take(const struct thermo_step *step, size_t layer);

// "needs u_var" and so on: the first of the n needs that was not seen. When all were: that a
// variance was negative, or "needs more steps".
const char *sample_missing(uint32_t seen, const unsigned *needs, size_t n);

#endif
