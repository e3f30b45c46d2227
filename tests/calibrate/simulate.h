// Simulated systems whose temperatures are known, streamed to a daemon as training jobs.
//
// One system a file. A system simulates its steps and hands them to a stream; what the daemon reads
// is compared with the truth by calibrate.py, which knows the closed forms and chooses the
// settings. Single-threaded; the client library sends from a thread of its own.
#ifndef TESTS_CALIBRATE_SIMULATE_H
#define TESTS_CALIBRATE_SIMULATE_H

#include "clients/c/pyrometer.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAYERS_MAX = 2048 };

// Everything but the names is a number of the command line, NAME=VALUE.
struct settings {
    const char *server, *run;
    double seed;
    double repeat; // runs of this system, one after the other, each with random numbers of its own
    double steps;  // streamed
    double burn;   // simulated before the first streamed step
    double layers; // independent copies of the system, a layer each
    double size;   // coordinates a layer
    double eta;    // learning rate, or the time step
    double momentum;       // of SGD
    double curvature;      // of the quadratic
    double curvature2;     // of every other coordinate; 0: the same
    double noise;          // variance of the gradient's noise
    double pull;           // a constant part of the gradient
    double batch;          // samples a step; of 2 and more the gradient is their mean
    double tells;          // what is sent of the noise: an enum telling
    double barrier;        // of the double well barrier (w^2 - 1)^2; 0: a quadratic
    double temperature;    // of the bath, at the beginning
    double temperature_to; // at the end
    double sweeps;         // of the Ising model, a step
    double begin;          // gradient flow: time of the first step; its known moment is at 0
};

// Nothing; the variance over samples; the mean square of single samples' gradients.
enum telling { TELLS_NOTHING, TELLS_G_NOISE, TELLS_G_SMALL_SQ };

// --- random numbers: splitmix64 and the polar method ---

struct random {
    uint64_t state;
    double spare;
    bool has_spare;
};

static inline uint64_t random_bits(struct random *r) {
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline double random_uniform(struct random *r) { // in (0, 1)
    return ((double)(random_bits(r) >> 11) + 0.5) * 0x1p-53;
}

double random_normal(struct random *r);

// --- a stream: one run at the daemon ---

struct stream;

// Ends the program with a message when the client cannot be opened.
struct stream *stream_open(const struct settings *s, int number, size_t layers,
                           const struct pyrometer_optimizer *optimizer);
// Waits while too much is queued, so that nothing is dropped. columns: of other statistics.
void stream_step(struct stream *s, int64_t step, double loss, double lr,
                 const struct pyrometer_stats *stats, const struct pyrometer_column *columns,
                 size_t n_columns);
// Waits until everything is on disk and frees the stream; ends the program with a message if not.
void stream_close(struct stream *s);

void stats_clear(struct pyrometer_stats *stats, size_t layers); // everything 'not measured'

// Mean, variance and inner products of n coordinates; u_prev may be NULL.
void stats_measure(struct pyrometer_stats *stats, size_t n, const double *w, const double *g,
                   const double *u, const double *u_prev);

// --- the systems ---

void simulate_sgd(const struct settings *s, struct random *r, int number);
void simulate_langevin(const struct settings *s, struct random *r, int number);
void simulate_underdamped(const struct settings *s, struct random *r, int number);
void simulate_ising(const struct settings *s, struct random *r, int number);
void simulate_ensemble(const struct settings *s, struct random *r, int number);
void simulate_flow(const struct settings *s, struct random *r, int number);

#endif
