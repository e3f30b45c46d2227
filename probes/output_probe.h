// Follows a model's outputs by their histograms: how spread out each is, how far from the one
// before, and whether that distance jumps.
//
// Owns the newest histogram. One thread. Saved and loaded as bytes; what was loaded goes on bit for
// bit.
#ifndef PROBES_OUTPUT_PROBE_H
#define PROBES_OUTPUT_PROBE_H

#include "base/buf.h"
#include "probes/bocpd.h"
#include "probes/distribution.h"
#include "probes/phase.h"

#include <stdbool.h>
#include <stdint.h>

struct output_probe {
    int64_t step;     // of the newest window, -1 before the first
    uint64_t windows; // seen
    size_t n_bins, n_counts;
    double *bins, *counts; // of the newest window
    // Nats; not corrected for the number of counts.
    struct distribution_figure entropy;
    // To the window before. Jensen-Shannon's divergence, nats.
    struct distribution_figure total_variation, jensen_shannon;
    struct bocpd jumps; // over the cube root of the divergence over scale; begun with the first
    double scale;
    bool has_jumps;
};

void output_probe_begin(struct output_probe *p); // zeroed, or anew
void output_probe_free(struct output_probe *p);
// A window. Lengths as in wire/outputs.h, checked by the caller; copied. False, and nothing
// changes, when it is not behind the newest: a repeat. `change` is filled and *changed set when
// the distance to the window before jumped.
bool output_probe_add(struct output_probe *p, int64_t step, const double *bins, size_t n_bins,
                      const double *counts, size_t n_counts, struct phase_change *change,
                      bool *changed);

void output_probe_save(const struct output_probe *p, struct buf *out);
// How many bytes were taken, 0 when they are no saved probe; *p is then untouched.
size_t output_probe_load(struct output_probe *p, const void *bytes, size_t size);

#endif
