#include "alerts/level.h"

#include <math.h>

#define WINSOR 4
#define SUSPECT 8
#define DISTANCE_TO_SPREAD 1.2533 // mean distance to standard deviation of a normal distribution
#define SPREAD_MEMORY 4           // times the mean's

static void take(struct level *l, const struct level_settings *s, double x) {
    double off = x - l->mean;
    if (l->count >= s->learn) {
        double reach = WINSOR * fmax(l->spread, s->floor);
        off = fmin(fmax(off, -reach), reach);
    }
    l->count += l->count < UINT32_MAX;
    l->mean += fmax(1 / s->memory, 1. / l->count) * off;
    l->spread += fmax(1 / (SPREAD_MEMORY * s->memory), 1. / l->count) *
                 (DISTANCE_TO_SPREAD * fabs(off) - l->spread);
}

double level_observe(struct level *l, const struct level_settings *s, double x) {
    if (!isfinite(x)) {
        return l->z = 0;
    }
    if (l->count == 0 || l->held >= s->hold) {
        *l = (struct level){.mean = x, .count = 1};
        return 0;
    }
    l->z = l->count >= s->learn ? (x - l->mean) / fmax(l->spread, s->floor) : 0;
    if ((s->rises ? l->z : fabs(l->z)) > SUSPECT) {
        l->held++;
        return l->z;
    }
    l->held = 0;
    take(l, s, x);
    return l->z;
}
