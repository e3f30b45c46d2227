// The time by which steps age, out of a wall clock that may jump.
//
// A clock that leaps ahead would make everything old at once, and what is deleted does not come
// back. So a leap of more than an hour against a clock that only counts is not followed until it
// has lasted for a day; until then time goes on as it was. A leap back is followed at once: it
// makes nothing older.
//
// Flat; zeroed is a clock that was not looked at yet, whose first time is believed. One thread.
#ifndef STORAGE_AGING_H
#define STORAGE_AGING_H

#include <stdbool.h>

#define AGING_LEAP_S 3600.0
#define AGING_DAY_S 86400.0 // until a leap is believed

struct aging {
    double offset; // wall clock less counting clock, as it is believed
    double leapt;  // the counting clock's time when the wall clock left that
    bool known, is_leapt;
};

// wall_s: seconds since the epoch. counted_s: seconds since some moment, suspensions included.
// Returns the time to age by; *leap is by how many seconds the clock has just been found to leap,
// else 0.
double aging_now(struct aging *a, double wall_s, double counted_s, double *leap);

#endif
