#include "probes/sample.h"

#include "base/num.h"

#include <math.h>

// Beyond this squares and sums of squares would no longer be finite; no real statistic comes near.
#define MEASURE_MAX 1e100

static double take(const struct thermo_step *step, enum statistic id, size_t layer,
                   struct sample *s) {
    const double *column = step->stat[id];
    if (!column || num_is_missing(column[layer])) {
        return num_missing();
    }
    s->seen |= SEEN(id);
    if (!(fabs(column[layer]) <= MEASURE_MAX)) {
        s->finite = false;
        return num_missing();
    }
    return column[layer];
}

// NaN when one of the two is; a variance below zero is no measurement.
static double mean_square(double mean, double variance, struct sample *s) {
    s->seen |= variance < 0 ? SEEN(NEED_NOT_NEGATIVE) : 0;
    return variance >= 0 ? mean * mean + variance : num_missing();
}

struct sample sample_take(const struct thermo_step *step, size_t layer) {
    struct sample s = {.finite = true};
    double w_mean = take(step, STAT_W_MEAN, layer, &s);
    s.weight_variance = take(step, STAT_W_VAR, layer, &s);
    s.weights_finite = s.finite;
    s.weight2 = mean_square(w_mean, s.weight_variance, &s);
    double g_mean = take(step, STAT_G_MEAN, layer, &s);
    s.gradient2 = mean_square(g_mean, take(step, STAT_G_VAR, layer, &s), &s);
    double u_mean = take(step, STAT_U_MEAN, layer, &s);
    s.update2 = mean_square(u_mean, take(step, STAT_U_VAR, layer, &s), &s);
    s.gw = take(step, STAT_GW, layer, &s);
    s.gu = take(step, STAT_GU, layer, &s);
    s.gu_prev = take(step, STAT_GU_PREV, layer, &s);
    s.noise = take(step, STAT_G_NOISE, layer, &s);
    s.out_mean = take(step, STAT_A_MEAN, layer, &s);
    s.out2 = mean_square(s.out_mean, take(step, STAT_A_VAR, layer, &s), &s);
    s.in_mean = take(step, STAT_Z_MEAN, layer, &s);
    s.in2 = mean_square(s.in_mean, take(step, STAT_Z_VAR, layer, &s), &s);
    s.active = take(step, STAT_A_ACTIVE, layer, &s);
    s.saturated = take(step, STAT_A_SATURATED, layer, &s);
    s.small2 = take(step, STAT_G_SMALL_SQ, layer, &s);
    s.batch_small = take(step, STAT_BATCH_SMALL, layer, &s);
    s.alpha = take(step, STAT_W_ALPHA, layer, &s);
    return s;
}

const char *sample_missing(uint32_t seen, const unsigned *needs, size_t n) {
    static const char *const texts[NEED_COUNT] = {
        [STAT_W_MEAN] = "needs w_mean",
        [STAT_W_VAR] = "needs w_var",
        [STAT_G_MEAN] = "needs g_mean",
        [STAT_G_VAR] = "needs g_var",
        [STAT_U_MEAN] = "needs u_mean",
        [STAT_U_VAR] = "needs u_var",
        [STAT_GW] = "needs gw",
        [STAT_GU] = "needs gu",
        [STAT_GU_PREV] = "needs gu_prev",
        [STAT_G_NOISE] = "needs g_noise",
        [STAT_G_SMALL_SQ] = "needs g_small_sq",
        [STAT_BATCH_SMALL] = "needs batch_small",
        [STAT_A_MEAN] = "needs a_mean",
        [STAT_A_VAR] = "needs a_var",
        [STAT_Z_MEAN] = "needs z_mean",
        [STAT_Z_VAR] = "needs z_var",
        [STAT_A_ACTIVE] = "needs a_active",
        [STAT_A_SATURATED] = "needs a_saturated",
        [NEED_LOSS] = "needs loss",
        [NEED_LR] = "needs lr",
        [NEED_BATCH] = "needs batch_size",
        [NEED_WORK] = "needs gu",
        [NEED_SMALLER_BATCH] = "needs a batch_small below batch_size",
        [NEED_NEIGHBOUR] = "needs two steps next to each other"};
    for (size_t i = 0; i < n; i++) {
        if (seen & SEEN(needs[i])) {
            continue;
        }
        if (needs[i] == NEED_LR && (seen & SEEN(NEED_LR_ZERO))) {
            return "needs an lr above 0";
        }
        return texts[needs[i]] ? texts[needs[i]] : "needs more steps";
    }
    return seen & SEEN(NEED_NOT_NEGATIVE) ? "needs variances that are not negative"
                                          : "needs more steps";
}
