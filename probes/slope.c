#include "probes/slope.h"

#include "probes/student.h"

#include <math.h>
#include <stdlib.h>

bool slope_least_squares(const double *x, const double *y, size_t n, double *slope,
                         double *intercept) {
    if (n < 2) {
        return false;
    }
    double mx = 0, my = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i];
        my += y[i];
    }
    mx /= (double)n;
    my /= (double)n;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
    }
    if (!(xx > 0)) {
        return false;
    }
    *slope = xy / xx;
    *intercept = my - *slope * mx;
    return true;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool slope_theil_sen(const double *x, const double *y, size_t n, double min_dx,
                     struct theil_sen *out) {
    double slopes[SLOPE_POINTS_MAX * (SLOPE_POINTS_MAX - 1) / 2];
    size_t pairs = 0;
    if (n > SLOPE_POINTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            if (fabs(x[j] - x[i]) > min_dx) {
                slopes[pairs++] = (y[j] - y[i]) / (x[j] - x[i]);
            }
        }
    }
    if (pairs == 0) {
        return false;
    }
    qsort(slopes, pairs, sizeof *slopes, by_value);
    out->slope = (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2;
    // Sen 1968: the ranks are those of Kendall's statistic, whose variance is m(m-1)(2m+5)/18.
    double m = (double)n, half = NORMAL_975 * sqrt(m * (m - 1) * (2 * m + 5) / 18) / 2;
    double lower = nearbyint((double)pairs / 2 - half), upper = nearbyint((double)pairs / 2 + half);
    out->low = slopes[lower > 1 ? (size_t)lower - 1 : 0];
    out->high = slopes[upper < (double)pairs ? (size_t)upper : pairs - 1];
    return true;
}

void ew_slope_add(struct ew_slope *s, double alpha, double x, double y) {
    if (!s->started) {
        *s = (struct ew_slope){.x = x, .y = y, .started = true};
        return;
    }
    double dx = x - s->x, dy = y - s->y;
    s->x += alpha * dx;
    s->y += alpha * dy;
    s->covariance = (1 - alpha) * (s->covariance + alpha * dx * dy);
    s->variance = (1 - alpha) * (s->variance + alpha * dx * dx);
}
