// Entropy S of a layer: the normal distribution's with the variance of the weights, S = n/2 ln(2 pi
// e var). Of the run: the sum over the layers that have one and that ever moved. The interval is
// that of an entropy estimated from n draws; steps share their weights, so it says nothing about
// the noise of changes.
#include "probes/entropy.h"

#include "probes/instrument.h"
#include "probes/special.h"

#include <float.h>
#include <math.h>

double entropy_normal(double n, double variance) {
    return n / 2 * log(2 * M_PI * M_E * variance);
}

double entropy_uniform(double n, double low, double high) {
    return n * log(high - low);
}

double entropy_histogram(double n, const double *shares, unsigned bins, double width) {
    double s = log(width);
    for (unsigned i = 0; i < bins; i++) {
        s -= shares[i] > 0 ? shares[i] * log(shares[i]) : 0;
    }
    return n * s;
}

double entropy_change(double n, double from_variance, double to_variance) {
    double change = to_variance - from_variance;
    if (fabs(change) < from_variance / 2) {
        return n / 2 * log1p(change / from_variance);
    }
    return n / 2 * (log(to_variance) - log(from_variance));
}

double entropy_log_variance_bias(double n) {
    return digamma((n - 1) / 2) - log((n - 1) / 2);
}

double entropy_log_variance_deviation(double n) {
    return sqrt(trigamma((n - 1) / 2));
}

double entropy_resolution(double n) {
    return fmax(10 * n / 2 * DBL_EPSILON, 1e-6 * n);
}

static const char *why_none(const struct body *b, double n) {
    if (n < ENTROPY_SIZE_MIN) {
        return "needs at least 8 parameters";
    }
    if (isnan(b->variance)) {
        return "needs w_var";
    }
    return b->variance > 0 ? NULL : REASON_COLLAPSED;
}

static void read_layer(const struct view *v, struct reading *r) {
    const char *reason = why_none(v->body, v->n);
    if (reason) {
        reading_none(r, reason);
        return;
    }
    reading_value(r, entropy_normal(v->n, v->body->variance));
    if (v->interval) {
        reading_around(r, NORMAL_975 * v->n / 2 * entropy_log_variance_deviation(v->n));
    }
}

static void read_whole(const struct view *v, struct reading *r) {
    double sum = 0, squares = 0;
    bool any = false;
    const char *reason = "needs w_var";
    for (size_t i = 0; i < v->n_layers; i++) {
        const struct body *b = &v->layers[i];
        double n = v->sizes[i];
        const char *none = why_none(b, n);
        bool never_trained = body_is_frozen(b) && !b->moved;
        if (none || never_trained) {
            reason = none ? none : "frozen: no layer was ever updated";
            continue;
        }
        any = true;
        sum += entropy_normal(n, b->variance);
        if (v->interval) {
            double error = n / 2 * entropy_log_variance_deviation(n);
            squares += error * error;
        }
    }
    if (!any) {
        reading_none(r, reason);
        return;
    }
    reading_value(r, sum);
    if (v->interval) {
        reading_around(r, NORMAL_975 * sqrt(squares));
    }
}

void entropy_read(const struct view *v, struct reading *r) {
    if (v->whole) {
        read_whole(v, r);
    } else {
        read_layer(v, r);
    }
}
