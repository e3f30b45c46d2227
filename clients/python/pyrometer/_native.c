// What _fused.py calls: a model's parameters kept and measured, one call each.
//
// Plain C: the same library serves every version of Python.
#include "moments.h"

#include <math.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
// As _moments.KEYS has them.
enum { W_MEAN, U_MEAN, G_MEAN, W_VAR, U_VAR, G_VAR, GU_PREV, GW, GU, W_MIN, W_MAX };

EXPORT void native_keep(size_t n_params, const float *const *params, const size_t *sizes, float *kept);
EXPORT void native_measure(size_t n_layers, const size_t *n_params, const float *const *params,
                          const float *const *gradients, const size_t *sizes, const float *kept,
                          const float *kept_before, int with_extremes, double *out);

// Copies the parameters end to end.
EXPORT void native_keep(size_t n_params, const float *const *params, const size_t *sizes,
                       float *kept) {
    for (size_t i = 0; i < n_params; i++) {
        memcpy(kept, params[i], sizes[i] * sizeof *kept);
        kept += sizes[i];
    }
}

// The layers' parameters and gradients (NULL: zeros) follow each other. `kept` are the weights before
// the update, `kept_before` those before the one before, or NULL. `out` has a row of n_layers a key.
EXPORT void native_measure(size_t n_layers, const size_t *n_params, const float *const *params,
                          const float *const *gradients, const size_t *sizes, const float *kept,
                          const float *kept_before, int with_extremes, double *out) {
    for (size_t layer = 0; layer < n_layers; layer++) {
        struct pyr_moments m = {.n = 0};
        for (size_t i = 0; i < n_params[layer]; i++) {
            struct pyr_values values = {.weights = kept, .gradient = *gradients, .after = *params,
                                        .before = kept};
            if (kept_before) {
                values.prev_after = kept;
                values.prev_before = kept_before;
                kept_before += *sizes;
            }
            pyr_moments_add(&m, &values, *sizes, with_extremes);
            kept += *sizes;
            params++, gradients++, sizes++;
        }
        const double found[] = {
            [W_MEAN] = pyr_moments_mean(&m, &m.w),    [W_VAR] = pyr_moments_variance(&m, &m.w),
            [U_MEAN] = pyr_moments_mean(&m, &m.u),    [U_VAR] = pyr_moments_variance(&m, &m.u),
            [G_MEAN] = pyr_moments_mean(&m, &m.g),    [G_VAR] = pyr_moments_variance(&m, &m.g),
            [GU_PREV] = m.gu_prev,                    [GW] = m.gw,
            [GU] = m.gu,                              [W_MIN] = with_extremes ? m.w_min : (double)NAN,
            [W_MAX] = with_extremes ? m.w_max : (double)NAN,
        };
        for (size_t key = 0; key < sizeof found / sizeof found[0]; key++) {
            out[key * n_layers + layer] = found[key];
        }
    }
}
