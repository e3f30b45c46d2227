// The course of the entropy: where the rate at which the weights spread or concentrate breaks, and
// where the entropy itself jumps (level_course.h). It annotates. One thread.
#ifndef PROBES_ENTROPY_COURSE_H
#define PROBES_ENTROPY_COURSE_H

#include "probes/level_course.h"
#include "probes/phase.h"

struct entropy_course {
    int64_t step;               // of the newest entropy
    double entropy, parameters; // it; NaN: none to go on from
    struct level_course rates;  // of change, nats a step
};

// Zeroed, or anew.
void entropy_course_begin(struct entropy_course *c);
// What comes next is measured from another beginning.
void entropy_course_pause(struct entropy_course *c);
// The run's entropy, nats from some beginning, and of how many parameters; NaN where a step did not
// tell. True with *change filled when a change became clear.
bool entropy_course_add(struct entropy_course *c, int64_t step, double entropy, double parameters,
                        struct phase_change *change);

#endif
