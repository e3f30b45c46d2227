// The course of the loss: where its level breaks, by Bayesian change points (bocpd.h) over means
// of blocks of steps. It annotates; a rise that must wake somebody is an alert's affair.
//
// Flat: copying it saves it. One thread.
#ifndef PROBES_LOSS_COURSE_H
#define PROBES_LOSS_COURSE_H

#include "probes/bocpd.h"
#include "probes/phase.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COURSE_BLOCK 16 // steps
#define COURSE_RING 32  // blocks

struct course_block {
    int64_t step;    // its first
    double level;    // mean of the losses' logarithms, or of the losses where one was not above 0
    double distance; // from the trend, in units of the usual one
};

struct loss_course {
    int64_t step;                // the block's that is being filled
    double sum;                  // of it
    uint32_t filled;             // losses in it
    uint32_t clear;              // blocks in a row in which the change was clear
    uint64_t blocks;             // complete, ever
    uint64_t quiet_until;        // blocks; what was told is not told again
    uint32_t is_linear, started; // the losses themselves; the change points have begun
    double trend, last, spread;  // of the blocks' levels
    struct course_block ring[COURSE_RING];
    struct bocpd changes;
};

// Zeroed, or anew.
void loss_course_begin(struct loss_course *c);
// A loss; what is not finite, or beyond 1e100, is passed over. True with *change filled when a
// change became clear.
bool loss_course_add(struct loss_course *c, int64_t step, double loss, struct phase_change *change);
// Whether a restored state can be used.
bool loss_course_is_valid(const struct loss_course *c);

#endif
