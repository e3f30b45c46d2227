// How noisy the gradient is, from whatever a job sends: the first of these that it does.
//
//   g_noise       the gradient's variance over single samples, tr Sigma_1 / n, as sent
//   g_small_sq    mean squares of gradients over batches of two sizes, b and B (micro-batches,
//                 data-parallel ranks; McCandlish et al. 1812.06162 [L]):
//                   |G|^2 = (B |g_B|^2 - b |g_b|^2) / (B - b)
//                   tr Sigma_1 = (|g_b|^2 - |g_B|^2) / (1/b - 1/B)
//   momentum      SGD's buffer passes what is steady and averages what is not [D]; with
//                 R = eta^2 <|g|^2> / <|dw|^2> and coherence kappa = (1-mu)^2 / R:
//                   tr Sigma_B = (1-kappa) (1+mu)/(2 mu) <|g|^2>,   |G|^2 = <|g|^2> - tr Sigma_B
//                 for kappa above the white anchor (1-mu)/(1+mu). Below it something pulls back and
//                 nothing of |G|^2 is resolved; of the noise, what stationarity on a quadratic
//                 leaves: nominal = kinetic (1 - x).
//   gu_prev       plain SGD: neighbouring gradients have only the steady part in common [D]:
//                   |G|^2 = -x <|g|^2> for x < 0, and again nominal = kinetic (1 - x) for x > 0.
#ifndef PROBES_GRADIENT_NOISE_H
#define PROBES_GRADIENT_NOISE_H

#include "probes/body.h"

#include <stdint.h>

// ROW_SPREAD, ROW_SIGNAL and COLUMN_NOISE of this step, from g_noise or g_small_sq.
void gradient_noise_measure(const struct body *b, const struct run *run, const struct sample *s,
                            double row[ROW_COUNT]);

// "g_noise" or "g_small_sq" where the job sends one that can be used, else NULL.
const char *gradient_noise_sent(const struct body *b);
// What is missing for the one or the other.
const char *gradient_noise_missing(uint32_t seen);

#endif
