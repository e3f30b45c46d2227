// How unusual a value is beside the run's own: z, the distance from an average that forgets, in
// units of the usual distance. Robust by winsorising: what lies beyond 4 units counts as 4, what
// lies beyond 8 is kept out until it has lasted so long that it is the new normal. Some
// nanoseconds and 40 bytes; robust_z.h tells the median's story at thirty times the price. Flat;
// zero it before use.
#ifndef ALERTS_LEVEL_H
#define ALERTS_LEVEL_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct level_settings {
    double memory;  // values over which the mean forgets; the spread takes four times as long
    double floor;   // the least spread
    uint32_t learn; // values until anything is scored
    uint32_t hold;  // values kept out in a row until they are the new normal
    bool rises;     // only what lies above is kept out; what falls is followed
};

struct level {
    double mean, spread; // spread: mean distance, scaled to a standard deviation
    double z;            // of the newest value; 0 while nothing is known
    uint32_t count, held;
};

#define LEVEL_WINSOR 4
#define LEVEL_SUSPECT 8
#define LEVEL_TO_SPREAD 1.2533 // mean distance to standard deviation of a normal distribution
#define LEVEL_SPREAD_MEMORY 4  // times the mean's
#define LEVEL_FRESH 16         // values from which a mean is known where the spread is
#define LEVEL_MOVED UINT32_MAX // as `held`: the next value is the first at another level

static inline double level_rate(uint32_t count, double memory) {
    return count < memory ? 1. / count : 1 / memory;
}

static inline void level_take(struct level *l, const struct level_settings *s, double x) {
    double off = x - l->mean;
    if (l->count >= s->learn) {
        double reach = LEVEL_WINSOR * (l->spread > s->floor ? l->spread : s->floor);
        off = off > reach ? reach : off < -reach ? -reach : off;
    }
    l->count += l->count < UINT32_MAX;
    l->mean += level_rate(l->count, s->memory) * off;
    l->spread += level_rate(l->count, LEVEL_SPREAD_MEMORY * s->memory) *
                 (LEVEL_TO_SPREAD * fabs(off) - l->spread);
}

// The level is another from here on, for a reason that is known; the spread stays, so many times as
// wide.
static inline void level_move(struct level *l, double widen) {
    l->z = 0;
    l->held = LEVEL_MOVED;
    l->spread *= widen;
}

// Seldom, and out of the way of the steps at which it does not happen.
static __attribute__((noinline, cold, unused)) void
level_begin(struct level *l, const struct level_settings *s, double x) {
    if (l->held != LEVEL_MOVED || l->count == 0) {
        *l = (struct level){.mean = x, .count = 1};
        return;
    }
    uint32_t known = s->learn > LEVEL_FRESH ? s->learn - LEVEL_FRESH + 1 : 1;
    l->mean = x;
    l->count = l->count < known ? l->count : known;
    l->held = 0;
}

// Scores x and takes it in. What is not finite is passed over. Inline: four a layer and step.
static inline double level_observe(struct level *l, const struct level_settings *s, double x) {
    if (!isfinite(x)) {
        return l->z = 0;
    }
    if (l->count == 0 || l->held >= s->hold) {
        level_begin(l, s, x);
        return 0;
    }
    double spread = l->spread > s->floor ? l->spread : s->floor;
    l->z = l->count >= s->learn ? (x - l->mean) / spread : 0;
    if ((s->rises ? l->z : fabs(l->z)) > LEVEL_SUSPECT) {
        l->held++;
        return l->z;
    }
    l->held = 0;
    level_take(l, s, x);
    return l->z;
}

#endif
