// The 95% intervals of instruments at some of a walk's steps: every so many, and the last. Reading
// an interval costs some microseconds, so not every step has one.
#ifndef API_BOUNDS_H
#define API_BOUNDS_H

#include "api/emit.h"
#include "api/select.h"

#define BOUNDS_MOST 1000    // intervals a series
#define BOUNDS_TOTAL 100000 // of all series of a request

struct bounds {
    size_t most, n; // steps with intervals: at most, so far
    int64_t stride, due, last;
    int64_t *steps;
    double *low, *high; // [series * most + i]; num_missing() where there is none
};

// For the selection's series over the steps first..last, which the walk visits. most 0: none.
void bounds_init(struct bounds *b, const struct selection *s, size_t most, int64_t first,
                 int64_t last);
void bounds_free(struct bounds *b);
// Looks at one step; the selection has been given it before.
void bounds_add(struct bounds *b, const struct selection *s, int64_t step,
                const struct thermo *thermo);
// "interval":{"step":[...],"low":[...],"high":[...]} of the series' instrument; nothing for others.
void bounds_emit(const struct bounds *b, const struct selection *s, size_t series, struct emit *e);

#endif
