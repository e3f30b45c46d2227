// What _fused.py calls: a model's parameters kept and measured, one call each.
//
// Plain C: the same library serves every version of Python.
#include "moments.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
// As _moments.KEYS has them.
enum { W_MEAN, U_MEAN, G_MEAN, W_VAR, U_VAR, G_VAR, GU_PREV, GW, GU, W_MIN, W_MAX };

// As _fused.Job has it. Layers, parameters and gradients follow each other.
struct job {
    size_t n_layers, n_params;
    const size_t *params_of;       // how many of the parameters each layer has
    const size_t *sizes;           // elements of each parameter
    const float *const *params;
    const float *const *gradients; // NULL: zeros
    float *kept;                   // the weights before the update, end to end
    float *kept_before;            // room for those before the update before, or NULL
    size_t has_before;             // they are there
    size_t with_extremes;
};

EXPORT void native_keep(struct job *job, int follows);
EXPORT int native_measure(const struct job *job, double *found);

// If it `follows` the last call, what that kept is needed still.
EXPORT void native_keep(struct job *job, int follows) {
    if (job->kept_before) {
        float *kept_before = job->kept;
        job->kept = job->kept_before;
        job->kept_before = kept_before;
        job->has_before = follows != 0;
    }
    float *kept = job->kept;
    for (size_t i = 0; i < job->n_params; i++) {
        memcpy(kept, job->params[i], job->sizes[i] * sizeof *kept);
        kept += job->sizes[i];
    }
}

static bool float_keeps(double x) {
    return x == 0 || (fabs(x) >= (double)FLT_MIN && fabs(x) <= (double)FLT_MAX);
}

// `found`: a row of n_layers a key. Whether floats keep all of it but w_var.
EXPORT int native_measure(const struct job *job, double *found) {
    const float *kept = job->kept;
    const float *kept_before = job->has_before ? job->kept_before : NULL;
    size_t param = 0;
    bool fits = true;
    for (size_t layer = 0; layer < job->n_layers; layer++) {
        struct pyr_moments m = {.n = 0};
        for (size_t end = param + job->params_of[layer]; param < end; param++) {
            size_t size = job->sizes[param];
            struct pyr_values values = {.weights = kept, .gradient = job->gradients[param],
                                        .after = job->params[param], .before = kept};
            if (kept_before) {
                values.prev_after = kept;
                values.prev_before = kept_before;
                kept_before += size;
            }
            pyr_moments_add(&m, &values, size, job->with_extremes);
            kept += size;
        }
        const double row[] = {
            [W_MEAN] = pyr_moments_mean(&m, &m.w),
            [U_MEAN] = pyr_moments_mean(&m, &m.u),
            [G_MEAN] = pyr_moments_mean(&m, &m.g),
            [W_VAR] = pyr_moments_variance(&m, &m.w),
            [U_VAR] = pyr_moments_variance(&m, &m.u),
            [G_VAR] = pyr_moments_variance(&m, &m.g),
            [GU_PREV] = m.gu_prev,
            [GW] = m.gw,
            [GU] = m.gu,
            [W_MIN] = job->with_extremes ? m.w_min : (double)NAN,
            [W_MAX] = job->with_extremes ? m.w_max : (double)NAN,
        };
        for (size_t key = 0; key < sizeof row / sizeof row[0]; key++) {
            found[key * job->n_layers + layer] = row[key];
            fits = fits && (key == W_VAR ? isfinite(row[key]) : float_keeps(row[key]) || key >= W_MIN);
        }
    }
    return fits;
}
