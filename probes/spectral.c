// The spectral temperature of a layer: where its spectrum's tail exponent alpha (`w_alpha`, sent by
// the job) stands among the others', mapped to 0.5 for the smallest and 1.5 for the largest: the
// factor by which TempBalance would scale the layer's learning rate (Zhou et al. 2312.00359 [L]).
// A large alpha is a layer that has learnt little so far. As there, the first and the last layer
// are left out (of three or more).
#include "probes/instrument.h"

#include <math.h>

#define ALPHA_LOW 2 // Martin & Mahoney [M]
#define ALPHA_HIGH 6

static const char *note_of(double alpha) {
    if (alpha < ALPHA_LOW) {
        return "alpha below 2: over-fitted, or a few directions dominate";
    }
    return alpha > ALPHA_HIGH ? "alpha above 6: under-trained" : NULL;
}

static bool is_end(const struct view *v) {
    return v->n_layers > 2 && (v->body == v->layers || v->body == v->layers + v->n_layers - 1);
}

void spectral_read(const struct view *v, struct reading *r) {
    double alpha = (double)v->body->alpha, low = v->run->alpha_low, high = v->run->alpha_high;
    if (v->whole) {
        reading_none(r, "measured layer by layer");
    } else if (isnan(alpha)) {
        reading_none(r, "needs w_alpha");
    } else if (is_end(v)) {
        reading_none(r, "the first and the last layer are not ranked");
    } else {
        double place = high > low ? (alpha - low) / (high - low) : 0.5;
        reading_value(r, 0.5 + fmin(fmax(place, 0), 1));
        r->no_interval = "a rank, not an estimate";
        r->note = note_of(alpha);
    }
}
