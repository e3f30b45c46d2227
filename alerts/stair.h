// Whether a series stepped up: the mean of its newest ten values beside the mean of the ten, or of
// the thirty, before them, whichever is higher, in units of the noise from one value to the next.
// Unlike a scatter about an average that noise is no larger where the series falls, and what comes
// back down to where it was is no step, nor is one value, however high: z is at most 8.9. It is
// taken from behind the newest ten, so that a step does not widen its own measure. Flat; zero it
// before use.
#ifndef ALERTS_STAIR_H
#define ALERTS_STAIR_H

#include <stdint.h>

#define STAIR_TREAD 10                // values
#define STAIR_RING (4 * STAIR_TREAD)  // the newest ten and thirty before them
#define STAIR_LEARN (64 + STAIR_RING) // values until anything is scored

struct stair {
    double ring[STAIR_RING];
    double noise; // standard deviation
    double z;     // of the newest step
    uint32_t count, reserved;
};

// Takes x in and returns z; 0 until enough is known. floor: the least noise.
double stair_add(struct stair *s, double x, double floor);

#endif
