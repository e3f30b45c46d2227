// Robust z-scores: how far a value lies from the median of the last 128, in units of their MAD
// scaled to a standard deviation (theory 5.1, 6.2). Half of the window may be outliers before the
// scale follows them. Flat; zero it before use.
#ifndef ALERTS_ROBUST_Z_H
#define ALERTS_ROBUST_Z_H

#include <stdbool.h>
#include <stdint.h>

#define ROBUST_Z_WINDOW 128
#define ROBUST_Z_REFRESH 8 // values from one look at median and MAD to the next, once full

// What most steps touch comes first: values wait until there is a look at them, so that the window
// itself is fetched from memory at every eighth step only.
struct robust_z {
    float median, sigma;             // of the window, once it is full
    uint16_t count, next;            // values held, those that wait included; the next one's place
    uint16_t settled, reserved;      // values in the window
    float waiting[ROBUST_Z_REFRESH]; // as they came
    float ring[ROBUST_Z_WINDOW];     // likewise
    float sorted[ROBUST_Z_WINDOW];   // the same, in order
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
