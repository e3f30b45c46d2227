// What is left of a series when a smooth course is taken out of it: the noise around it.
//
// The smooth course is a polynomial in time, fitted by least squares over orthonormal polynomials.
#ifndef PROBES_TREND_H
#define PROBES_TREND_H

#include <stddef.h>

#define TREND_POINTS_MAX 64
#define TREND_DEGREE_MAX 6

struct trend {
    size_t points;
    unsigned terms; // of the polynomial, its degree and one
    double basis[TREND_DEGREE_MAX + 1][TREND_POINTS_MAX];
    double leverage[TREND_POINTS_MAX]; // how much of a point's own noise the fit takes with it
};

// times: strictly rising. points <= TREND_POINTS_MAX, degree <= TREND_DEGREE_MAX and < points.
void trend_begin(struct trend *t, const double *times, size_t points, unsigned degree);
void trend_remove(const struct trend *t, const double *y, double *rest);
// The lag-1 autocorrelation of what trend_remove left, with what the fit takes from it put back;
// from 0, where there is none or it is negative, to TREND_CORRELATION_MAX.
#define TREND_CORRELATION_MAX 0.9
double trend_correlation(const struct trend *t, const double *rest);

#endif
