#include "alerts/differences.h"

#include <math.h>

void differences_break(struct differences *d) {
    *d = (struct differences){0};
}

void differences_add(struct differences *d, double x) {
    if (!isfinite(x)) {
        return;
    }
    double difference = x - d->last;
    if (d->count >= 2) {
        double alpha = fmax(1. / DIFFERENCES_MEMORY, 1. / (d->count - 1));
        d->product += alpha * (difference * d->difference - d->product);
        d->square += alpha * (difference * difference - d->square);
    }
    d->last = x;
    d->difference = difference;
    d->count += d->count < UINT32_MAX;
}

bool differences_are_known(const struct differences *d) {
    return d->count >= DIFFERENCES_MEMORY && d->square > 0;
}

double differences_correlation(const struct differences *d) {
    return d->square > 0 ? d->product / d->square : 0;
}
