#include "alerts/cusum.h"

#include <math.h>

#define OVERSHOOT 1.166 // twice 0.583, the mean overshoot of a normal walk over a barrier
#define HALVINGS 60

double cusum_add(struct cusum *c, double z, double k) {
    double sum = c->sum + z - k;
    c->length = sum > 0 ? c->length + (c->length < UINT32_MAX) : 0;
    c->sum = sum > 0 ? sum : 0;
    return c->sum;
}

double cusum_run_length(double k, double h, double delta) {
    double drift = delta - k, b = h + OVERSHOOT;
    if (fabs(drift) < 1e-9) {
        return b * b;
    }
    double x = 2 * drift * b;
    return (exp(-x) + x - 1) / (2 * drift * drift);
}

double cusum_threshold(double k, double arl0) {
    double low = 0, high = 1;
    while (cusum_run_length(k, high, 0) < arl0 && high < 1e6) {
        high *= 2;
    }
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        *(cusum_run_length(k, middle, 0) < arl0 ? &low : &high) = middle;
    }
    return high;
}
