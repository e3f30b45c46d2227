// Stability x: how much of the way to the edge of stability the layer's fastest modes have gone; 1
// is the edge. Exact on a noisy quadratic: eta h / (2 (1 + mu)).
#include "probes/coherence.h"
#include "probes/instrument.h"

#include <math.h>

static double from_ratio(double ratio, enum filter filter, double mu) {
    switch (filter) {
    case FILTER_NONE:
        return ratio;
    case FILTER_ADAM:
        return coherence_stability(1 / ratio, mu);
    case FILTER_HEAVY_BALL:
    case FILTER_NESTEROV:
    case FILTER_UNKNOWN:
    default:
        return (ratio - (1 - mu * mu)) / mu / (2 * (1 + mu));
    }
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
