// Durations, in milliseconds of the monotonic clock.
#ifndef CLIENTS_C_CLOCK_H
#define CLIENTS_C_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

static inline int64_t pyr_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// For poll(): until the deadline, 0 when it is past.
static inline int pyr_clock_left_ms(int64_t deadline_ms) {
    int64_t left = deadline_ms - pyr_clock_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

#endif
