// Activations as heat engines (theory 1.7, this project's definitions): what a pointwise activation
// a = f(z) lets through of a normal pre-activation z ~ N(mean, variance). Pure functions.
#ifndef PROBES_ACTIVATION_H
#define PROBES_ACTIVATION_H

#include <stdbool.h>

struct activation;

// Without units but where it says so.
struct activation_transfer {
    double mean;       // <a>, units of a
    double efficiency; // eta_E = <a^2> / <z^2>: the second moment that comes through
    double variance;   // of a, units of a squared
    double chi;        // <f'(z)^2>: the gradient's power that comes back
    double gain;       // <f'(z)>: of the best straight line (Bussgang)
    double linearity;  // R^2 = corr(z, a)^2: the share of var a that the straight line explains
    double entropy;    // dS_act = <ln |f'(z)|>, nats a unit; num_missing() when there is none ...
    const char *no_entropy; // ... and why; a static string, or NULL
};

// By the name that a hello's layers[].activation spells, in any case and with or without '_' or
// '-': linear (identity, none), relu, leaky_relu (slope 0.01), tanh, sigmoid (logistic), softplus,
// elu (alpha 1), gelu (exact), silu (swish). NULL when there is none of this name. Never freed.
const struct activation *activation_find(const char *name);
const char *activation_name(const struct activation *a);

// False (and *out untouched) outside of variance in [1e-12, 1e12] and |mean| <= 1e12. Relative
// error below 1e-9 (a figure that is a tiny difference, such as the mean of a nearly odd
// activation, has the absolute error of 1e-16 times the deviation of z). Takes some 10 to 50 us:
// keep what it says while mean and variance stay the same.
bool activation_transfer(const struct activation *a, double mean, double variance,
                         struct activation_transfer *out);

// Of normal z: the share of units that are idle. num_missing() where the activation has no such
// end.
struct activation_idle {
    double dead;      // gives nothing: z <= 0 of a ReLU
    double saturated; // within 0.01 of one of its bounds
};
// False (and *out untouched) for a variance or mean as above.
bool activation_idle(const struct activation *a, double mean, double variance,
                     struct activation_idle *out);
// Whether it gives nothing at all for z <= 0; whether it hands on what it gets.
bool activation_can_die(const struct activation *a);
bool activation_can_saturate(const struct activation *a);
bool activation_is_identity(const struct activation *a);

#endif
