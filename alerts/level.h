// How unusual a value is beside the run's own: z, the distance from an average that forgets, in
// units of the usual distance. Robust by winsorising: what lies beyond 4 units counts as 4, what
// lies beyond 8 is kept out until it has lasted so long that it is the new normal. Some
// nanoseconds and 40 bytes; robust_z.h tells the median's story at thirty times the price. Flat;
// zero it before use.
#ifndef ALERTS_LEVEL_H
#define ALERTS_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#define LEVEL_LEARN 64 // values until anything is scored
#define LEVEL_HOLD 200 // values kept out in a row until they are the new normal

struct level {
    double mean, spread; // spread: mean distance, scaled to a standard deviation
    double z;            // of the newest value; 0 while nothing is known
    uint32_t count, held;
};

// Scores x and takes it in. `memory`: values over which the mean forgets (the spread takes four
// times as long); `floor`: the least spread.
double level_observe(struct level *l, double x, double memory, double floor);
bool level_is_known(const struct level *l);

#endif
