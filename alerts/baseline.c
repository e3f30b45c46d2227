#include "alerts/baseline.h"

#include <math.h>

#define WINSOR_SPREADS 4
#define DISTANCE_TO_SPREAD 1.2533 // mean distance to standard deviation of a normal distribution

void baseline_add(struct baseline *b, double x) {
    b->held = 0;
    if (b->count == 0) {
        *b = (struct baseline){.level = x, .count = 1};
        return;
    }
    double alpha = fmax(BASELINE_ALPHA, 1. / (b->count + 1));
    double off = x - b->level;
    if (baseline_is_known(b)) {
        double reach = WINSOR_SPREADS * b->spread;
        off = fmin(fmax(off, -reach), reach);
    }
    b->level += alpha * off;
    b->spread += alpha * (DISTANCE_TO_SPREAD * fabs(off) - b->spread);
    b->count += b->count < UINT32_MAX;
}

void baseline_hold(struct baseline *b, double x) {
    if (++b->held >= BASELINE_HOLD_MAX) {
        *b = (struct baseline){.level = x, .count = 1};
    }
}

bool baseline_is_known(const struct baseline *b) {
    return b->count >= BASELINE_LEARN;
}

void baseline_make_stale(struct baseline *b) {
    b->count = b->count > 0 ? 1 : 0;
    b->held = 0;
}
