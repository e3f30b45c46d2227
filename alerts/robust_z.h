// Robust z-scores: how far a value lies from the median of the last 128, in units of their MAD
// scaled to a standard deviation (theory 5.1, 6.2). Half of the window may be outliers before the
// scale follows them. Flat; zero it before use.
#ifndef ALERTS_ROBUST_Z_H
#define ALERTS_ROBUST_Z_H

#include <stdbool.h>
#include <stdint.h>

#define ROBUST_Z_WINDOW 128
#define ROBUST_Z_REFRESH 8 // values from one look at median and MAD to the next, once full

struct robust_z {
    float ring[ROBUST_Z_WINDOW];   // as they came
    float sorted[ROBUST_Z_WINDOW]; // the same, in order
    float median, sigma;           // of the window, once it is full
    uint16_t count, next;          // values held; where the next one goes
};

// x must be finite and within a float's range.
void robust_z_add(struct robust_z *r, double x);
// x counts as at most 4 sigma away from the median, so that an outlier cannot widen the window.
void robust_z_add_winsorised(struct robust_z *r, double x);
bool robust_z_is_full(const struct robust_z *r);
// 0 until the window is full.
double robust_z_score(const struct robust_z *r, double x);
void robust_z_clear(struct robust_z *r);
// For bytes from outside.
bool robust_z_is_valid(const struct robust_z *r);

#endif
