// Coherence: how much of the gradient's power is a steady pull rather than noise or oscillation,
// seen through the optimizer's own memory of the gradient. stability.c reads the same
// ratio.
//
//   heavy ball (SGD with momentum): R = eta^2 <|g|^2> / <|dw|^2>, coherence = (1-mu)^2 / R
//   Nesterov: the same ratio, other anchors; no stability
//   Adam, AdamW: coherence = <|dw|^2> / (eta^2 n), AdamW's decoupled decay taken out of dw
//   plain SGD: x = <g_k.g_{k-1}> turned over: x = <gu_prev/eta_prev> / <|g|^2>, coherence = -x
//
// Anchors (coherent drift, white noise, period-2 oscillation at the edge of stability):
//   heavy ball and Adam (mu = beta1): 1, (1-mu)/(1+mu), ((1-mu)/(1+mu))^2; 1, 0.0526, 0.00277 at
//   0.9 Nesterov at 0.9: 1, 0.0706, 0.0217;  plain SGD: 1, 0, -1
#ifndef PROBES_COHERENCE_H
#define PROBES_COHERENCE_H

#include <stdbool.h>

struct body;
struct run;
struct sample;

// What stands between gradient and update.
enum filter { FILTER_NONE, FILTER_HEAVY_BALL, FILTER_NESTEROV, FILTER_ADAM, FILTER_UNKNOWN };

enum filter coherence_filter(const struct run *run);
// The filter's memory: momentum, or Adam's beta1.
double coherence_memory(const struct run *run);

// This step's numerator and denominator of R (plain SGD: of x), per parameter; both NaN or neither.
void coherence_measure(const struct body *b, const struct run *run, double n,
                       const struct sample *s, double *num, double *den);

// The ratio now, with its interval: multiplicative for R, which is positive, additive for plain
// SGD's x.
struct lag_ratio {
    double value, low, high;
    const char *reason, *no_interval; // NULL, or why there is no value, no interval
};
struct lag_ratio coherence_ratio(const struct body *b, const struct run *run, bool interval);

// How far the weighted average strays from the window's, learnt whenever fresh steps join the
// window (anew when it began anew): that, not a formula, tells its error, however correlated the
// steps are.
void coherence_learn(struct body *b, const struct run *run, bool anew);

// x = y / (2 (1 + mu)), y = (R - (1 - mu^2)) / mu; R = (1 - mu)^2 / coherence for Adam too.
double coherence_stability(double ratio, double mu);

#endif
