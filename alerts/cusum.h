// Page's cumulative sum (1954): the quickest detector of a shift of known size, theory 6.3.
// C = max(0, C + z - k); it fires when C > h. z must be standardised and free of correlation, so
// feed means of blocks longer than the memory of the steps. Flat; zero it before use.
#ifndef ALERTS_CUSUM_H
#define ALERTS_CUSUM_H

#include <stdint.h>

struct cusum {
    double sum;
    uint32_t length; // values since the sum last left zero
};

// Takes z in and returns the sum.
double cusum_add(struct cusum *c, double z, double k);

// The threshold h at which a one-sided chart of normal values fires once in arl0 values without
// cause. By Siegmund's corrected approximation ([M], within 1% at k = 0.5): ARL = (e^(2kb) - 2kb -
// 1) / (2k^2), b = h + 1.166.
double cusum_threshold(double k, double arl0);
// Values until the chart of threshold h fires on a shift of delta (0: none).
double cusum_run_length(double k, double h, double delta);

#endif
