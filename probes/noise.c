// The nominal noise temperature T = eta s^2 / (2 B (1 - mu)), loss units per degree of freedom,
// with s^2 the gradient's variance over single samples (Mandt et al. 1704.04289 [L], Jastrzebski et
// al. 1711.04623 [M]). What the learning rate, the batch size and the data alone would heat the
// layer to, far from the edge of stability. Adam's preconditioner is left out.
//
// Where the job sends neither g_noise nor g_small_sq, SGD's own steps tell (gradient_noise.h).
#include "probes/coherence.h"
#include "probes/composite.h"
#include "probes/gradient_noise.h"

#include <math.h>

// Means of |dw|^2/eta, R's numerator and denominator; `with` is mu.
static bool from_momentum(const double *mean, const void *with, double *value) {
    if (!(mean[2] > 0)) {
        return false;
    }
    double mu = *(const double *)with, ratio = mean[1] / mean[2];
    if (ratio <= 1 - mu * mu) {
        *value = mean[0] * (1 + mu) * (ratio - (1 - mu) * (1 - mu)) / (4 * mu * (1 - mu));
    } else {
        *value = mean[0] * (1 + mu) / 2 * (1 - coherence_stability(ratio, mu));
    }
    return *value >= 0;
}

// Means of |dw|^2/eta, x's numerator and denominator.
static bool from_neighbours(const double *mean, const void *with, double *value) {
    (void)with;
    if (!(mean[2] > 0)) {
        return false;
    }
    double share = 1 - fabs(mean[1] / mean[2]);
    *value = mean[0] / 2 * share;
    return share >= 0;
}

static bool read_split(const struct view *v, struct reading *r) {
    static const enum column columns[] = {COLUMN_KINETIC, COLUMN_LAG_NUM, COLUMN_LAG_DEN};
    enum filter filter = coherence_filter(v->run);
    bool ball = filter == FILTER_HEAVY_BALL;
    if (!ball && filter != FILTER_NONE) {
        return false;
    }
    if (!read_composite(v, columns, 3, ball ? from_momentum : from_neighbours, &v->run->momentum,
                        r)) {
        return false;
    }
    r->source = ball ? "momentum" : "gu_prev";
    return true;
}

void noise_read(const struct view *v, struct reading *r) {
    double mu = v->run->optimizer == OPTIMIZER_SGD ? v->run->momentum : 0;
    if (!(mu >= 0 && mu < 1)) {
        reading_none(r, "needs a momentum between 0 and 1");
    } else if (read_window(v, COLUMN_NOISE, COLUMN_NONE, 1 / (2 * (1 - mu)), r)) {
        r->source = gradient_noise_sent(v->body);
    } else if (gradient_noise_sent(v->body) || !read_split(v, r)) {
        reading_none(r, gradient_noise_missing(v->body->seen));
    }
}
