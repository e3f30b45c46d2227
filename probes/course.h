// The way of the whole run through energy and entropy: what dE/dS and its error are read from.
//
// The newest steps one by one, for the noise of a single loss; and up to 64 blocks of steps over
// the window, more and shorter ones than the ledger has, for a slope with some 50 degrees of
// freedom. Flat memory, one a run.
#ifndef PROBES_COURSE_H
#define PROBES_COURSE_H

#include "probes/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COURSE_RECENT 32
#define COURSE_SPANS 5 // of 8 to 32 steps that tell the noise, see course_noise()
#define COURSE_BLOCKS 64

// Variances and covariance of one step's energy and entropy around their smooth course.
struct course_noise {
    double energy, both, entropy;
    double freedom; // degrees of freedom; 0: not known
};

struct course {
    double energy[COURSE_RECENT], entropy[COURSE_RECENT]; // a ring
    struct course_noise start[COURSE_SPANS];              // in the state's first 8 to 32 steps
    uint32_t steps;                                       // that had both since the state began
    double sum_energy, sum_entropy;                       // of the block being filled
    uint32_t block;                                       // steps of a complete block
    uint32_t filled, measured;            // steps of the block being filled; that had both
    uint8_t recent, next;                 // steps in the ring; the oldest's place
    uint8_t blocks;                       // complete ones
    struct packed kept[COURSE_BLOCKS][2]; // averages of energy and entropy, NaN where not measured
};

void course_begin_state(struct course *c);
void course_begin_segment(struct course *c); // what follows does not continue the steps before
// window: the steps that the run's window now holds, this one among them. NaN: not measured.
void course_add(struct course *c, double energy, double entropy, double window);

// Of the newest step and of the state's first, told apart. On a passage the noise changes with the
// system, so that only the nearest steps tell that of an end: a third to an eighth of the
// state's, at most 32. False while there are too few.
bool course_noise(const struct course *c, struct course_noise *newest, struct course_noise *first);

// The blocks of the window that have both, oldest first; times are in steps. Returns how many.
struct course_points {
    double time[COURSE_BLOCKS], energy[COURSE_BLOCKS], entropy[COURSE_BLOCKS];
    size_t n;
    double steps; // that the blocks hold
};
void course_points(const struct course *c, struct course_points *p);

bool course_is_valid(const struct course *c); // for bytes from outside

#endif
