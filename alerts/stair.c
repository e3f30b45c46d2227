#include "alerts/stair.h"

#include <math.h>

#define MEMORY 64             // differences over which the noise forgets
#define TO_NOISE 0.8862269255 // mean distance of two normal values to their standard deviation
#define WINSOR 4              // of the noise: what lies further off counts as that

// The value so many before the newest.
static double back(const struct stair *s, unsigned n) {
    return s->ring[(s->count - 1 - n) % STAIR_RING];
}

// Of n values, from the one so many before the newest.
static double mean(const struct stair *s, unsigned from, unsigned n) {
    double sum = 0;
    for (unsigned i = from; i < from + n; i++) {
        sum += back(s, i);
    }
    return sum / n;
}

static void learn_noise(struct stair *s, double floor) {
    unsigned n = s->count - STAIR_TREAD - 1;
    double distance = TO_NOISE * fabs(back(s, STAIR_TREAD) - back(s, STAIR_TREAD + 1));
    if (n > MEMORY / 2) {
        distance = fmin(distance, WINSOR * fmax(s->noise, floor));
    }
    s->noise += (distance - s->noise) / (n < MEMORY ? n : MEMORY);
}

double stair_add(struct stair *s, double x, double floor) {
    s->ring[s->count % STAIR_RING] = x;
    s->count++;
    if (s->count > STAIR_TREAD + 1) {
        learn_noise(s, floor);
    }
    if (s->count < STAIR_LEARN) {
        return s->z = 0;
    }
    double before =
        fmax(mean(s, STAIR_TREAD, STAIR_TREAD), mean(s, STAIR_TREAD, STAIR_RING - STAIR_TREAD));
    double noise = fmax(s->noise, floor), rise = 0;
    for (unsigned i = 0; i < STAIR_TREAD; i++) {
        rise += fmin(back(s, i) - before, WINSOR * noise) / STAIR_TREAD;
    }
    return s->z = rise / (noise * sqrt(2. / STAIR_TREAD));
}
