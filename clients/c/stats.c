// Per-layer statistics of float arrays.
#include "clients/c/pyrometer.h"

#include <math.h>

struct moments {
    double mean, var, min, max;
};

static struct moments measure(const float *x, size_t n) {
    struct moments m;
    m.mean = m.var = m.min = m.max = pyrometer_not_measured();
    if (!x || n == 0) {
        return m;
    }
    double sum = 0;
    m.min = m.max = (double)x[0];
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        sum += v;
        // Once an extreme is a NaN no comparison changes it any more.
        m.min = v < m.min || isnan(v) ? v : m.min;
        m.max = v > m.max || isnan(v) ? v : m.max;
    }
    m.mean = sum / (double)n;
    // The residual sum corrects for the rounding of the mean, so that equal values give exactly 0.
    double squares = 0, residual = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - m.mean;
        squares += d * d;
        residual += d;
    }
    double var = (squares - residual * residual / (double)n) / (double)n;
    m.var = var < 0 ? 0 : var;
    return m;
}

static double inner_product(const float *x, const float *y, size_t n) {
    if (!x || !y || n == 0) {
        return pyrometer_not_measured();
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)y[i];
    }
    return sum;
}

void pyrometer_stats(struct pyrometer_stats *out, size_t n, const float *w, const float *g,
                     const float *u, const float *u_prev) {
    struct moments weights = measure(w, n), gradient = measure(g, n), update = measure(u, n);
    *out = (struct pyrometer_stats){
        .w_mean = weights.mean,
        .w_var = weights.var,
        .w_min = weights.min,
        .w_max = weights.max,
        .g_mean = gradient.mean,
        .g_var = gradient.var,
        .u_mean = update.mean,
        .u_var = update.var,
        .gw = inner_product(g, w, n),
        .gu = inner_product(g, u, n),
        .gu_prev = inner_product(g, u_prev, n),
    };
}
