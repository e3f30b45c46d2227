// The books of a layer: its weights may change by the update that the optimizer reported, and by
// nothing else. What is left over was done by something else: a flipped bit, a bad copy, a hand.
//
// Two sums must come out, exactly but for rounding [D]: the mean of the weights moves by the mean
// of the update, and their root mean square by no more than the update's own (the triangle's
// inequality). Measured on jobs in good health the remainder is some 1e-9 of the weights; a job
// whose books never come out (weights clipped behind the optimizer's back) sets its own measure.
// Flat; zero it before use.
#ifndef ALERTS_BOOKS_H
#define ALERTS_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#define BOOKS_LEARN 32 // pairs of steps before anything is judged

struct books {
    double w_mean, w_rms, u_mean, u_rms; // of the step before
    double usual;                        // the largest remainder of good times, slowly forgotten
    double remainder;                    // of the newest pair, as a share of the weights' size
    int64_t step;                        // the step before
    uint32_t pairs, held;
    bool has_last;
};

// Takes a step in. Returns the remainder in units of the usual largest, at least rounding: above 1
// is unusual, 0 where nothing can be said. Columns that were not sent are NaN.
double books_observe(struct books *b, int64_t step, double w_mean, double w_rms, double u_mean,
                     double u_rms);

#endif
