// The set of a run's step numbers, in a few arithmetic ranges: a job that logs every k steps costs
// one range however long it runs. Steps are added in increasing order.
#ifndef RUNS_STEPSET_H
#define RUNS_STEPSET_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct step_range {
    int64_t first, last, stride; // stride 0: one step
};

struct stepset {
    struct step_range *ranges;
    size_t n, cap;
    int64_t count;
};

void stepset_free(struct stepset *s);
void stepset_add(struct stepset *s, int64_t step);
bool stepset_has(const struct stepset *s, int64_t step);
// The smallest and the largest; -1 when it is empty.
int64_t stepset_first(const struct stepset *s);
int64_t stepset_last(const struct stepset *s);
// Removes every step above `last`.
void stepset_truncate(struct stepset *s, int64_t last);
void stepset_save(const struct stepset *s, struct buf *out);
// Returns the bytes read, 0 when they are not a saved set.
size_t stepset_load(struct stepset *s, const void *bytes, size_t size);

#endif
