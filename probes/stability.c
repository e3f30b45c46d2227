// Stability x: how much of the way to the edge of stability the layer's fastest modes have gone; 1
// is the edge. Exact on a noisy quadratic: eta h / (2 (1 + mu)).
#include "probes/coherence.h"
#include "probes/instrument.h"

static double from_ratio(double ratio, enum filter filter, double mu) {
    if (filter == FILTER_NONE) {
        return ratio;
    }
    return coherence_stability(filter == FILTER_ADAM ? (1 - mu) * (1 - mu) * ratio : ratio, mu);
}

void stability_read(const struct view *v, struct reading *r) {
    enum filter filter = coherence_filter(v->run);
    double mu = coherence_memory(v->run);
    if (filter == FILTER_NESTEROV) {
        reading_none(r, "not defined for Nesterov momentum: see coherence");
        return;
    }
    struct lag_ratio ratio = coherence_ratio(v->body, v->run, v->interval);
    if (ratio.reason) {
        reading_none(r, ratio.reason);
        return;
    }
    reading_value(r, from_ratio(ratio.value, filter, mu));
    if (v->interval && ratio.no_interval) {
        r->no_interval = ratio.no_interval;
    } else if (v->interval) {
        reading_interval(r, from_ratio(ratio.low, filter, mu), from_ratio(ratio.high, filter, mu));
    }
}
