// S = (n/2) ln(2 pi e v) (entropy.h). The variance of n draws with kurtosis
// k scatters by v sqrt((k - 1) / n) [M], and S by sqrt(n (k - 1)) / 2.
#include "probes/initial.h"

#include "base/num.h"
#include "probes/entropy.h"

#include <math.h>

static double fourth_moment(const struct reference_init *one, double mean) {
    double sum = 0, weight = 0;
    for (size_t i = 0; i < one->count; i++) {
        const struct reference_part *p = &one->parts[i];
        double d = (p->draw == REFERENCE_UNIFORM ? (p->a + p->b) / 2 : p->a) - mean;
        double v = 0, fourth = 0;
        if (p->draw == REFERENCE_NORMAL) {
            v = p->b * p->b;
            fourth = 3 * v * v;
        } else if (p->draw == REFERENCE_UNIFORM) {
            double half = (p->b - p->a) / 2;
            v = half * half / 3;
            fourth = half * half * half * half / 5;
        }
        sum += p->weight * (d * d * d * d + 6 * d * d * v + fourth);
        weight += p->weight;
    }
    return sum / weight;
}

void initial_compare(const struct reference_init *init, double n, double variance,
                     struct initial *out) {
    const struct reference_init one = reference_init_of(init, 0);
    double v = reference_init_variance(&one);
    *out = (struct initial){.stated = num_missing()};
    if (n < ENTROPY_SIZE_MIN) {
        out->reason = "needs at least 8 parameters";
    } else if (num_is_missing(variance)) {
        out->reason = "needs w_var at the first step";
    } else if (!(variance > 0) || !isfinite(variance)) {
        out->reason = "the weights have no spread";
    } else if (!(v > 0)) {
        out->reason = "a constant has no entropy";
    } else {
        const char *reason;
        if (!reference_init_entropy(init, n, &out->stated, &reason)) {
            out->stated = num_missing();
        }
        double kurtosis = fourth_moment(&one, reference_init_mean(&one)) / (v * v);
        out->expected = entropy_normal(n, v);
        out->measured = entropy_normal(n, variance);
        out->error = sqrt(n * (kurtosis - 1)) / 2;
    }
}
