// Bayesian online change-point detection (Adams & MacKay, arXiv:0710.3742): how long ago did the
// level or the spread of a series last change? Observations between changes are normal with unknown
// mean and variance (normal-inverse-gamma prior); a change comes with the same chance,
// 1/expected_run, at every one. Meant for standardised values, to annotate phases. It is no alarm
// by itself.
#ifndef PROBES_BOCPD_H
#define PROBES_BOCPD_H

#include <stdbool.h>
#include <stdint.h>

enum { BOCPD_RUNS = 200 };

// A run that may be the present one, with what it knows of its mean and variance.
struct bocpd_run {
    uint64_t length;        // observations since the change
    double log_probability; // of this run being the present one
    double mean, beta;      // posterior location, posterior inverse-gamma scale
};

// All state, without pointers: copying it saves it, copying it back restores it.
struct bocpd {
    double mean, kappa, alpha, beta; // the prior
    double log_change, log_stay;     // ln H and ln (1 - H)
    uint32_t count;
    struct bocpd_run runs[BOCPD_RUNS + 1]; // the newest first; one more while they are updated
};

// mean: expected level; kappa: how many observations that is worth; alpha, beta: shape and scale of
// the variance's inverse gamma. All but mean above 0. expected_run: observations between changes,
// above 1.
void bocpd_start(struct bocpd *b, double expected_run, double mean, double kappa, double alpha,
                 double beta);

// Takes an observation and returns ln p(x | all before), the evidence. What is not finite, or
// beyond 1e100, is no observation: nothing changes and num_missing() comes back. At most BOCPD_RUNS
// runs are kept; the least probable goes. No allocation; some 10 us with all of them.
double bocpd_add(struct bocpd *b, double x);

// The chance that the last change was at most, or exactly, so many observations ago.
double bocpd_at_most(const struct bocpd *b, uint64_t length);
double bocpd_exactly(const struct bocpd *b, uint64_t length);
// The most probable run length; of equals the shortest.
uint64_t bocpd_most_probable(const struct bocpd *b);

// Whether a restored state can be used: no number in it leads out of bounds.
bool bocpd_is_valid(const struct bocpd *b);

#endif
