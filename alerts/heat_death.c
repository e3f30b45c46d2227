// The heat death of a model that learns from its own output: from one data refresh to the next its
// outputs lose variety. The stretch between two refreshes is a generation; its entropy is the mean
// over the histograms that came in it. A run of generations each below the one before is a fall
// when it is clear of what counting and the scatter within generations explain, and of the rises
// that the run has shown. [D]
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FALLS 5            // in a row; by chance alone 1 in 720
#define SIGNIFICANCE 5     // standard errors
#define RISES 2            // times the largest rise
#define RISE_MEMORY 0.98   // of it remains a generation later
#define RECOVERY_SHARE 0.5 // of the fall: it is over

void alerts_outputs(struct alerts *a, double entropy, double error, bool same_bins) {
    struct collapse *c = &a->watch.collapse;
    if (!same_bins) {
        memset(c, 0, sizeof *c);
    }
    if (!isfinite(entropy) || !isfinite(error)) {
        return;
    }
    struct generation *g = &c->now;
    double d = entropy - g->mean;
    g->windows++;
    g->mean += d / (double)g->windows;
    g->square += d * (entropy - g->mean);
    g->noise += error * error;
}

// The square of the standard error of its mean.
static double error_of(const struct generation *g) {
    double n = (double)g->windows, counting = g->noise / (n * n);
    return g->windows > 1 ? fmax(counting, g->square / (n * (n - 1))) : counting;
}

static void fall(struct collapse *c, const struct generation *from, const struct generation *to) {
    if (c->falls == 0 && !c->established) {
        c->start = from->mean;
        c->start_error = error_of(from);
        c->least = from->mean;
    }
    c->falls++;
    c->least = fmin(c->least, to->mean);
    double depth = c->start - to->mean, error = sqrt(c->start_error + error_of(to));
    c->established |= c->falls >= FALLS && depth > SIGNIFICANCE * error && depth > RISES * c->rise;
}

// What has lost its variety stays so until half of it is back.
static void hold(struct collapse *c, const struct generation *from, const struct generation *to) {
    c->falls = 0;
    c->rise = fmax(c->rise, to->mean - from->mean);
    if (c->start - to->mean < RECOVERY_SHARE * (c->start - c->least)) {
        c->established = 0;
    }
}

void alerts_refresh(struct alerts *a) {
    struct collapse *c = &a->watch.collapse;
    if (c->now.windows == 0) {
        return;
    }
    if (c->last.windows > 0) {
        c->rise *= RISE_MEMORY;
        (c->now.mean < c->last.mean ? fall : hold)(c, &c->last, &c->now);
    }
    c->last = c->now;
    c->now = (struct generation){0};
}

void heat_death_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    const struct collapse *c = &look->a->watch.collapse;
    double lost = c->established ? -expm1(c->last.mean - c->start) : 0;
    *f = (struct finding){.clear = lost < r->clear_below,
                          .severity = r->severity,
                          .value = lost,
                          .threshold = r->fire_above};
    f->fire = look->warmed_up && lost > r->fire_above;
}

void heat_death_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t,
             "the outputs lose their variety from one data refresh to the next: %.3g%% of their "
             "effective number is gone at step %" PRId64,
             100 * l->value, l->since);
}
