// A run's own healthy level of something: an average that forgets slowly, with the usual distance
// from it. Values far off count as 4 such distances only, and while an alarm is on the owner holds
// the level: a fault must not become the new normal by lasting. Flat; zero it before use.
#ifndef ALERTS_BASELINE_H
#define ALERTS_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

#define BASELINE_LEARN 64 // values until it is known
#define BASELINE_ALPHA (1. / 256)
#define BASELINE_HOLD_MAX 2000 // values held off in a row until they are taken for the new normal

struct baseline {
    double level, spread; // spread: mean distance from the level, scaled to a standard deviation
    uint32_t count, held;
};

void baseline_add(struct baseline *b, double x);
// Instead of baseline_add while x is suspect.
void baseline_hold(struct baseline *b, double x);
bool baseline_is_known(const struct baseline *b);
// Known, but from before: learned anew from here on, starting at the old level.
void baseline_make_stale(struct baseline *b);

#endif
