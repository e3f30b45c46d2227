#include "moments.h"

#include <math.h>

// So many sums side by side, which a processor's wide registers take. The order of the additions, and
// with it the result, is the same in narrow ones.
enum { LANES = 8 };
// What is walked more than once stays in the first cache.
enum { BLOCK = 1024 };

#define INLINE static inline __attribute__((always_inline))
// Also for wide registers, chosen as the library is loaded, which is before a sanitizer is ready.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

static double total(const double lanes[LANES]) {
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
           ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

INLINE void add_lanes(struct pyr_moments *m, const struct pyr_values *v, size_t begin, size_t end,
                      size_t n_lanes) {
    const float *weights = v->weights, *gradient = v->gradient;
    const float *after = v->after, *before = v->before;
    double w0 = m->w.origin, u0 = m->u.origin, g0 = m->g.origin;
    // Each an array of its own: one of arrays does not stay in registers.
    double w_sum[LANES] = {0}, u_sum[LANES] = {0}, g_sum[LANES] = {0};
    double ww[LANES] = {0}, uu[LANES] = {0}, gg[LANES] = {0};
    double gw[LANES] = {0}, gu[LANES] = {0};
    for (size_t i = begin; i < end; i += n_lanes) {
        for (size_t lane = 0; lane < n_lanes; lane++) {
            double w = (double)weights[i + lane], g = (double)gradient[i + lane];
            double u = (double)after[i + lane] - (double)before[i + lane];
            gw[lane] += g * w;
            gu[lane] += g * u;
            w_sum[lane] += w;
            u_sum[lane] += u;
            g_sum[lane] += g;
            w -= w0;
            u -= u0;
            g -= g0;
            ww[lane] += w * w;
            uu[lane] += u * u;
            gg[lane] += g * g;
        }
    }
    m->w.sum += total(w_sum);
    m->u.sum += total(u_sum);
    m->g.sum += total(g_sum);
    m->w.squares += total(ww);
    m->u.squares += total(uu);
    m->g.squares += total(gg);
    m->gw += total(gw);
    m->gu += total(gu);
}

WIDE static void add_sums(struct pyr_moments *m, const struct pyr_values *v, size_t n) {
    size_t rest = n % LANES;
    add_lanes(m, v, 0, n - rest, LANES);
    if (rest) {
        add_lanes(m, v, n - rest, n, 1);
    }
}

INLINE double product_of_lanes(const struct pyr_values *v, size_t begin, size_t end, size_t n_lanes) {
    double sum[LANES] = {0};
    for (size_t i = begin; i < end; i += n_lanes) {
        for (size_t lane = 0; lane < n_lanes; lane++) {
            double update = (double)v->prev_after[i + lane] - (double)v->prev_before[i + lane];
            sum[lane] += (double)v->gradient[i + lane] * update;
        }
    }
    return total(sum);
}

WIDE static void add_product(struct pyr_moments *m, const struct pyr_values *v, size_t n) {
    size_t rest = n % LANES;
    m->gu_prev += product_of_lanes(v, 0, n - rest, LANES) + product_of_lanes(v, n - rest, n, 1);
}

WIDE static void add_extremes(struct pyr_moments *m, const float *w, size_t n) {
    float low[LANES], high[LANES];
    int is_nan = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        low[lane] = high[lane] = w[0];
    }
    for (size_t i = 0; i < n; i += LANES) {
        // The last ones are looked at twice.
        size_t from = n < LANES ? 0 : i + LANES > n ? n - LANES : i;
        for (size_t lane = 0; lane < (n < LANES ? n : LANES); lane++) {
            float x = w[from + lane];
            low[lane] = x < low[lane] ? x : low[lane];
            high[lane] = x > high[lane] ? x : high[lane];
            is_nan |= x != x;
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        m->w_min = (double)low[lane] < m->w_min ? (double)low[lane] : m->w_min;
        m->w_max = (double)high[lane] > m->w_max ? (double)high[lane] : m->w_max;
    }
    if (is_nan) { // no comparison changes it any more
        m->w_min = m->w_max = (double)NAN;
    }
}

static double finite_or_zero(double x) {
    return isfinite(x) ? x : 0;
}

static const float *at(const float *values, size_t i) {
    static const float zeros[BLOCK];
    return values ? values + i : zeros;
}

void pyr_moments_add(struct pyr_moments *m, const struct pyr_values *values, size_t n,
                     bool with_extremes) {
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t size = n - i < BLOCK ? n - i : BLOCK;
        struct pyr_values v = {
            .weights = at(values->weights, i),
            .gradient = at(values->gradient, i),
            .after = at(values->after, i),
            .before = at(values->before, i),
            .prev_after = at(values->prev_after, i),
            .prev_before = at(values->prev_before, i),
        };
        if (m->n == 0) {
            m->w.origin = finite_or_zero((double)v.weights[0]);
            m->u.origin = finite_or_zero((double)v.after[0] - (double)v.before[0]);
            m->g.origin = finite_or_zero((double)v.gradient[0]);
            m->w_min = m->w_max = (double)v.weights[0];
        }
        m->n += (double)size;
        add_sums(m, &v, size);
        if (values->prev_after) {
            add_product(m, &v, size);
        }
        if (with_extremes) {
            add_extremes(m, v.weights, size);
        }
    }
}

static double per_element(const struct pyr_moments *m, double sum) {
    return m->n > 0 ? sum / m->n : (double)NAN;
}

double pyr_moments_mean(const struct pyr_moments *m, const struct pyr_sums *of) {
    return per_element(m, of->sum);
}

double pyr_moments_variance(const struct pyr_moments *m, const struct pyr_sums *of) {
    double excess = per_element(m, of->sum - m->n * of->origin);
    double variance = per_element(m, of->squares) - excess * excess;
    return variance < 0 ? 0 : variance;
}
