#include "alerts/level.h"

#include <math.h>

#define WINSOR 4
#define SUSPECT 8
#define DISTANCE_TO_SPREAD 1.2533 // mean distance to standard deviation of a normal distribution
#define SPREAD_MEMORY 4           // times the mean's

bool level_is_known(const struct level *l) {
    return l->count >= LEVEL_LEARN;
}

static void take(struct level *l, double x, double memory) {
    double off = x - l->mean;
    l->count += l->count < UINT32_MAX;
    if (level_is_known(l)) {
        double reach = WINSOR * l->spread;
        off = fmin(fmax(off, -reach), reach);
    }
    l->mean += fmax(1 / memory, 1. / l->count) * off;
    l->spread += fmax(1 / (SPREAD_MEMORY * memory), 1. / l->count) *
                 (DISTANCE_TO_SPREAD * fabs(off) - l->spread);
}

double level_observe(struct level *l, double x, double memory, double floor) {
    if (!isfinite(x)) {
        return l->z = 0;
    }
    if (l->count == 0) {
        *l = (struct level){.mean = x, .count = 1};
        return 0;
    }
    l->z = level_is_known(l) ? (x - l->mean) / fmax(l->spread, floor) : 0;
    if (fabs(l->z) > SUSPECT && ++l->held < LEVEL_HOLD) {
        return l->z;
    }
    if (l->held >= LEVEL_HOLD) {
        *l = (struct level){.mean = x, .count = 1, .z = l->z};
        return l->z;
    }
    l->held = 0;
    take(l, x, memory);
    return l->z;
}
