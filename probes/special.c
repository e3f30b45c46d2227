// Both by recurrence up to x >= 10 and the asymptotic series from there (relative error below
// 1e-12).
#include "probes/special.h"

#include <math.h>

double digamma(double x) {
    double below = 0;
    for (; x < 10; x++) {
        below -= 1 / x;
    }
    double q = 1 / (x * x);
    return below + log(x) - 0.5 / x -
           q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 - q / 132))));
}

double trigamma(double x) {
    double below = 0;
    for (; x < 10; x++) {
        below += 1 / (x * x);
    }
    double q = 1 / (x * x);
    double series = 1.0 / 6 - q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * 5 / 66)));
    return below + 1 / x + q / 2 + series * q / x;
}
