// One step out of the steps of the ranks that hold the shards of its layers: the statistics that
// one process with all parameters would have sent. Pure computation; one thread at a time.
//
// A shard's weight is the number of parameters it has of the layer.
//
//   means, variances       Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
//                          variance": exact up to rounding, whatever the shards' sizes
//   gw, gu, gu_prev        sums
//   w_min, w_max           extremes
//   a_active, a_saturated, g_noise, g_small_sq, batch_small      means weighted by the shards'
//   sizes w_alpha, statistics of the job's own, scalars, loss, loss_after, val_loss    plain means
//   over
//                          the ranks that sent one
//   batch_size             the sum over the ranks that sent one
//   lr, time               the first shard's (rank 0's where it is there)
//
// What a rank did not measure, or a rank that is not there, is left out: means are those of the
// parameters that were measured, and sums are scaled to the whole layer, so that both stand for the
// same parameters. A variance whose mean is not measured cannot be merged and is left out too.
#ifndef RUNS_MERGE_H
#define RUNS_MERGE_H

#include "base/check.h"
#include "wire/step.h"

#include <stdbool.h>

struct merge;

struct merge *merge_create(void);
void merge_destroy(struct merge *m);
// Begins a step. `sizes`: the whole layers', kept by the caller until merge_finish().
void merge_begin(struct merge *m, size_t n_layers, const double *sizes);
// Adds one rank's step; `shard_sizes`: its parameters of each layer, 0 for none. The order of the
// ranks decides the rounding.
void merge_add(struct merge *m, const struct step *step, const double *shard_sizes);
// The merged step, with the number that the added ones had. At least one was added. False when the
// ranks together have more statistics or scalars than a step may carry: the first are kept; or with
// out->no_memory.
bool merge_finish(const struct merge *m, struct step *out);

#endif
