// Histograms of a model's outputs: how spread out one is, how far apart two are. Nats throughout.
// Counts are doubles, so that merged or weighted ones will do; standard errors take them as so many
// independent draws. Pure functions.
#ifndef PROBES_DISTRIBUTION_H
#define PROBES_DISTRIBUTION_H

#include <stddef.h>

struct distribution_figure {
    double value;       // num_missing() when there is a reason
    double error;       // standard error; 0 without a value
    double floor;       // of a distance: what two samples of one distribution show on average
    const char *reason; // NULL, or why there is no value; a static string
};

// Shannon entropy of the shares of `bins` bins. An entropy from n counts is too low by about
// (occupied bins - 1) / (2n); the corrected one adds that (Miller & Madow).
struct distribution_figure distribution_entropy(const double *counts, size_t bins);
struct distribution_figure distribution_entropy_corrected(const double *counts, size_t bins);
// Differential entropy of the density that is flat within each bin; widths[i] > 0. Not corrected.
struct distribution_figure distribution_differential(const double *counts, const double *widths,
                                                     size_t bins);

// Distances between two histograms over the same bins: 0 for equal shares.
// Total variation: half the sum of the differences of shares, at most 1 (no bin in common).
struct distribution_figure distribution_total_variation(const double *a, const double *b,
                                                        size_t bins);
// Jensen-Shannon divergence, at most ln 2, and its square root, which is a metric.
struct distribution_figure distribution_divergence(const double *a, const double *b, size_t bins);
struct distribution_figure distribution_distance(const double *a, const double *b, size_t bins);

#endif
