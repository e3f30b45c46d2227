// How unusual a value is beside the run's own: z, the distance from an average that forgets, in
// units of the usual distance. Robust by winsorising: what lies beyond 4 units counts as 4, what
// lies beyond 8 is kept out until it has lasted so long that it is the new normal. Some
// nanoseconds and 40 bytes; robust_z.h tells the median's story at thirty times the price. Flat;
// zero it before use.
#ifndef ALERTS_LEVEL_H
#define ALERTS_LEVEL_H

#include <stdbool.h>
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

// Scores x and takes it in. What is not finite is passed over.
double level_observe(struct level *l, const struct level_settings *s, double x);

#endif
