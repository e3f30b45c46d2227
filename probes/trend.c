#include "probes/trend.h"

#include <math.h>

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void take_out(const struct trend *t, double *y) {
    for (unsigned k = 0; k < t->terms; k++) {
        double share = dot(t->basis[k], y, t->points);
        for (size_t i = 0; i < t->points; i++) {
            y[i] -= share * t->basis[k][i];
        }
    }
}

// Gram and Schmidt on x p_k-1, with x from -1 to 1.
void trend_begin(struct trend *t, const double *times, size_t points, unsigned degree) {
    double middle = (times[points - 1] + times[0]) / 2, reach = (times[points - 1] - times[0]) / 2;
    t->points = points;
    t->terms = 0;
    for (size_t i = 0; i < points; i++) {
        t->leverage[i] = 0;
    }
    for (unsigned k = 0; k <= degree; k++) {
        double *next = t->basis[k];
        for (size_t i = 0; i < points; i++) {
            double x = reach > 0 ? (times[i] - middle) / reach : 0;
            next[i] = k == 0 ? 1 : x * t->basis[k - 1][i];
        }
        take_out(t, next);
        double length = sqrt(dot(next, next, points));
        for (size_t i = 0; i < points; i++) {
            next[i] = length > 0 ? next[i] / length : 0;
            t->leverage[i] += next[i] * next[i];
        }
        t->terms++;
    }
}

void trend_remove(const struct trend *t, const double *y, double *rest) {
    for (size_t i = 0; i < t->points; i++) {
        rest[i] = y[i];
    }
    take_out(t, rest);
}

double trend_correlation(const struct trend *t, const double *rest) {
    double squares = dot(rest, rest, t->points), lagged = dot(rest, rest + 1, t->points - 1);
    if (!(squares > 0)) {
        return 0;
    }
    double own = lagged / squares + t->terms / (double)t->points;
    return fmin(fmax(own, 0), TREND_CORRELATION_MAX);
}
