// The gradient noise scale B_simple = tr Sigma_1 / |G|^2, in samples (McCandlish et al. 1812.06162
// [L]): batches far below it are noisy but lose no data, batches far above it waste them. Global,
// for a layer of its own gradient.
//
// Noise and signal are averaged separately, exponentially weighted, and divided at the end; the
// interval is Fieller's. Where the signal is not told from zero the interval has no upper end, and
// where it is not even above zero there is no value, only that lower bound. Where neither g_noise
// nor g_small_sq is sent, the optimizer's memory tells the share of the noise (gradient_noise.h).
#include "probes/coherence.h"
#include "probes/fieller.h"
#include "probes/gradient_noise.h"
#include "probes/instrument.h"

#include <math.h>

#define UNRESOLVED "signal unresolved: all of the gradient's square may be noise"
#define SAMPLES_MIN 8

// From where on the ratio may lie when the signal may be zero: the upper end of Fieller's excluded
// stretch. 0 when all ratios are possible.
static double least_ratio(double a, double se_a, double b, double se_b, double cov) {
    double z2 = NORMAL_975 * NORMAL_975;
    double qa = b * b - z2 * se_b * se_b, qb = -2 * (a * b - z2 * cov);
    double qc = a * a - z2 * se_a * se_a, inside = qb * qb - 4 * qa * qc;
    if (!(qa < 0) || !(inside > 0)) {
        return 0;
    }
    return fmax((-qb - sqrt(inside)) / (2 * qa), 0); // qa < 0: the larger root
}

static void lower_bound(double low, struct reading *r) {
    if (low > 0 && isfinite(low)) {
        reading_interval(r, low, HUGE_VAL);
    }
}

static void add_interval(const struct ewma_cross *c, struct reading *r) {
    if (c->count < SAMPLES_MIN) {
        r->no_interval = REASON_STEPS;
        return;
    }
    double low, high, q = ewma_cross_factor(c);
    double se_spread = sqrt((double)c->xx * q), se_signal = sqrt((double)c->yy * q);
    if (fieller_interval(c->x, se_spread, c->y, se_signal, (double)c->xy * q, &low, &high) &&
        c->y > 0) {
        reading_interval(r, fmin(fmax(low, 0), r->value), fmax(high, r->value));
    } else {
        lower_bound(least_ratio(c->x, se_spread, c->y, se_signal, (double)c->xy * q), r);
        r->no_interval = r->has_interval ? NULL : NO_INTERVAL_UNBOUNDED;
    }
}

static void read_sent(const struct view *v, struct reading *r) {
    const struct ewma_cross *c = &v->body->scale;
    if (!(c->x > 0)) {
        reading_none(r, "noise unresolved: small and large batches have gradients of one size");
        return;
    }
    if (c->y > 0 && isfinite(c->x / c->y)) {
        reading_value(r, c->x / c->y);
    } else {
        reading_none(r, UNRESOLVED);
    }
    if (v->interval) {
        add_interval(c, r);
    }
}

// The noise's share of the gradient's square, above 1 where something pulls back; `ratio` is R, for
// plain SGD x. It grows with it.
static double share_of_noise(enum filter filter, double mu, double ratio) {
    if (filter == FILTER_NONE) {
        return 1 + ratio;
    }
    double kappa = filter == FILTER_ADAM ? 1 / ratio : (1 - mu) * (1 - mu) / ratio;
    return (1 - kappa) * (1 + mu) / (2 * mu);
}

static double scale_of(double share) {
    return share < 1 ? fmax(share, 0) / (1 - share) : HUGE_VAL;
}

static void add_split_interval(enum filter filter, double mu, double batch,
                               const struct lag_ratio *ratio, struct reading *r) {
    if (!ratio->no_interval && (filter == FILTER_NONE || ratio->low > 0)) {
        double low = batch * scale_of(share_of_noise(filter, mu, ratio->low));
        double high = batch * scale_of(share_of_noise(filter, mu, ratio->high));
        if (isfinite(low)) {
            reading_interval(r, low, high);
        }
    } else if (!r->reason) {
        r->no_interval = ratio->no_interval ? ratio->no_interval : NO_INTERVAL_UNBOUNDED;
    }
}

static void read_split(const struct view *v, struct reading *r) {
    enum filter filter = coherence_filter(v->run);
    double mu = coherence_memory(v->run), batch = v->run->batch;
    struct lag_ratio ratio = coherence_ratio(v->body, v->run, v->interval);
    if (filter == FILTER_NESTEROV || filter == FILTER_UNKNOWN || ratio.reason) {
        reading_none(r, gradient_noise_missing(v->body->seen));
        return;
    }
    if (!(batch > 0) || (filter != FILTER_NONE && !(ratio.value > 0))) {
        reading_none(r, batch > 0 ? "undefined: no gradient so far" : "needs batch_size");
        return;
    }
    double scale = batch * scale_of(share_of_noise(filter, mu, ratio.value));
    if (isfinite(scale)) {
        reading_value(r, scale);
    } else {
        reading_none(r, UNRESOLVED);
    }
    if (v->interval) {
        add_split_interval(filter, mu, batch, &ratio, r);
    }
    r->source = filter == FILTER_NONE ? "gu_prev" : "momentum";
}

void noise_scale_read(const struct view *v, struct reading *r) {
    if (ewma_cross_started(&v->body->scale)) {
        read_sent(v, r);
        r->source = gradient_noise_sent(v->body);
    } else if (gradient_noise_sent(v->body)) {
        reading_none(r, gradient_noise_missing(v->body->seen));
    } else {
        read_split(v, r);
    }
}
