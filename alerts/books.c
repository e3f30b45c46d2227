#include "alerts/books.h"

#include <math.h>

#define ROUNDING 1e-6          // of the weights' size: what float32 and 7 digits leave
#define FORGET (1 - 1. / 2048) // of the usual, a step
#define SUSPECT 10
#define HOLD_MAX 500 // suspect pairs in a row until that is how this job keeps its books

static double judge(struct books *b) {
    double in_units = b->remainder / fmax(b->usual, ROUNDING);
    if (b->pairs < BOOKS_LEARN) {
        b->pairs++;
        b->usual = fmax(b->usual, b->remainder);
        return 0;
    }
    if (in_units > SUSPECT && ++b->held < HOLD_MAX) {
        return in_units;
    }
    b->held = 0;
    b->usual = fmax(b->usual * FORGET, b->remainder);
    return in_units;
}

double books_observe(struct books *b, int64_t step, double w_mean, double w_rms, double u_mean,
                     double u_rms) {
    double units = 0;
    bool is_pair = b->has_last && step == b->step + 1;
    double size = fmax(b->w_rms, 0);
    if (is_pair && size > 0 && isfinite(w_rms) && isfinite(b->u_rms)) {
        double mean = fabs(w_mean - b->w_mean - b->u_mean);
        double norm = fabs(w_rms - b->w_rms) - b->u_rms;
        // Rounding is a share of what was added up, too.
        double size_all = size + b->u_rms;
        b->remainder = fmax(fmax(mean, norm), 0) / size_all;
        units = judge(b);
    }
    b->has_last = isfinite(w_rms);
    b->w_mean = w_mean;
    b->w_rms = w_rms;
    b->u_mean = u_mean;
    b->u_rms = u_rms;
    b->step = step;
    return units;
}
