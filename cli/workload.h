// The numbers of `pyrometer bench` and of `make bench`: statistics of runs that never ran, as
// random walks of float32 values with the sizes and the noise that training has. The same seed
// gives the same numbers to every program that is measured.
#ifndef CLI_WORKLOAD_H
#define CLI_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/step.h"

#define WORKLOAD_TIME 1700000000 // of step 0, seconds since the epoch; a step a second

struct workload {
    size_t runs, layers, stats, steps;
};

// One run's steps, made one after the other.
struct walk {
    const struct workload *load;
    size_t run;
    uint64_t random;
    double *state; // layers x stats
    struct step step;
};

// stats is at most 17.
void walk_init(struct walk *w, const struct workload *load, size_t run);
// Makes the next step in w->step; its values are float32 exactly.
void walk_next(struct walk *w);
void walk_free(struct walk *w);

#define WORKLOAD_PROJECT "bench"
// The line that introduces such a run; `token` may be NULL.
void workload_put_hello(struct buf *out, const struct workload *load, const char *run,
                        const char *token);
// Makes a whole frame that of another step.
void workload_renumber(char *frame, int64_t step, double time);

#endif
