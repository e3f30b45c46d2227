// Rules of the configuration's own: a metric, averaged over a window where wanted, above or below
// figures.
#include "alerts/state.h"

#include "base/num.h"

#include <math.h>

static bool is_bound(double x) {
    return !num_is_missing(x);
}

// The average forgets over `window` steps, and is a plain one before.
static double average(struct own *o, double x, uint32_t window) {
    o->count++;
    double share = 1 / (double)(o->count < window ? o->count : window);
    o->mean = o->count == 1 ? x : o->mean + share * (x - o->mean);
    return o->mean;
}

void bounds_judge(const struct look *look, double x, struct finding *f) {
    const struct rule *r = look->rule;
    bool above = is_bound(r->fire_above) && x > r->fire_above;
    bool below = is_bound(r->fire_below) && x < r->fire_below;
    double low = is_bound(r->clear_below) ? r->clear_below : r->fire_above;
    double high = is_bound(r->clear_above) ? r->clear_above : r->fire_below;
    f->value = x;
    f->threshold = below || !is_bound(r->fire_above) ? r->fire_below : r->fire_above;
    f->fire = look->warmed_up && (above || below);
    // A value that is not a number is neither in order nor out of it.
    f->clear = !isnan(x) && !(is_bound(low) && x > low) && !(is_bound(high) && x < high);
}

void own_look(const struct look *look, unsigned own, size_t index, struct finding *f) {
    const struct rule *r = look->rule;
    double x = metric_value(&look->a->sources[own], look->thermo, look->in, look->layer);
    *f = (struct finding){.severity = r->severity};
    if (num_is_missing(x)) {
        f->unknown = true;
        return;
    }
    if (r->window > 1 && isfinite(x)) {
        x = average(&look->a->own[own * (look->a->n_layers + 1) + index], x, r->window);
    }
    bounds_judge(look, x, f);
}
