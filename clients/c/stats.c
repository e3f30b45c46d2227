// Per-layer statistics of float arrays.
#include "clients/c/moments.h"
#include "clients/c/pyrometer.h"

static double measured(bool is_given, double value) {
    return is_given ? value : pyrometer_not_measured();
}

void pyrometer_stats(struct pyrometer_stats *out, size_t n, const float *w, const float *g,
                     const float *u, const float *u_prev) {
    struct pyr_moments m = {.n = 0};
    pyr_moments_add(&m, &(struct pyr_values){.weights = w, .gradient = g, .after = u,
                                             .prev_after = u_prev}, n, true);
    bool has_w = w && n, has_g = g && n, has_u = u && n, has_u_prev = u_prev && n;
    *out = (struct pyrometer_stats){
        .w_mean = measured(has_w, pyr_moments_mean(&m, &m.w)),
        .w_var = measured(has_w, pyr_moments_variance(&m, &m.w)),
        .w_min = measured(has_w, m.w_min),
        .w_max = measured(has_w, m.w_max),
        .g_mean = measured(has_g, pyr_moments_mean(&m, &m.g)),
        .g_var = measured(has_g, pyr_moments_variance(&m, &m.g)),
        .u_mean = measured(has_u, pyr_moments_mean(&m, &m.u)),
        .u_var = measured(has_u, pyr_moments_variance(&m, &m.u)),
        .gw = measured(has_g && has_w, m.gw),
        .gu = measured(has_g && has_u, m.gu),
        .gu_prev = measured(has_g && has_u_prev, m.gu_prev),
    };
}
