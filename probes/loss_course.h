// The course of the loss: where its level breaks (level_course.h). It annotates; a rise that must
// wake somebody is an alert's affair. One thread.
#ifndef PROBES_LOSS_COURSE_H
#define PROBES_LOSS_COURSE_H

#include "probes/level_course.h"
#include "probes/phase.h"

struct loss_course {
    struct level_course levels; // of the losses' logarithms, or of the losses where one was not
                                // above 0
};

// Zeroed, or anew.
void loss_course_begin(struct loss_course *c);
// A loss; what is not finite, or beyond 1e100, is passed over. True with *change filled when a
// change became clear.
bool loss_course_add(struct loss_course *c, int64_t step, double loss, struct phase_change *change);

#endif
