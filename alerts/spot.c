#include "alerts/spot.h"

#include <math.h>

#define SHAPE_PRIOR                                                                                \
    10. // peaks: fewer say little of the shape, which is then drawn to the exponential's
#define SHAPE_FLAT 1e-9 // nearer to zero is the exponential tail

void spot_fit(double m, double v, double *shape, double *scale) {
    double ratio = v > 0 ? m * m / v : 1;
    *shape = (1 - ratio) / 2;
    *scale = m * (1 + ratio) / 2;
}

double spot_quantile(double t, double shape, double scale, double n, double n_over, double q) {
    double r = q * n / n_over;
    return fabs(shape) < SHAPE_FLAT ? t - scale * log(r) : t + scale / shape * (pow(r, -shape) - 1);
}

static void sort_first(struct spot *s, double x) {
    unsigned i = (unsigned)s->count;
    for (; i > 0 && s->height[i - 1] > x; i--) {
        s->height[i] = s->height[i - 1];
    }
    s->height[i] = x;
    s->place[(unsigned)s->count] = s->count;
    s->count++;
}

// P2: five markers keep the quantile, what lies half way to it on either side, and the extremes.
static void move_marker(struct spot *s, unsigned i, double sign) {
    const double *h = s->height, *n = s->place;
    double parabola = h[i] + sign / (n[i + 1] - n[i - 1]) *
                                 ((n[i] - n[i - 1] + sign) * (h[i + 1] - h[i]) / (n[i + 1] - n[i]) +
                                  (n[i + 1] - n[i] - sign) * (h[i] - h[i - 1]) / (n[i] - n[i - 1]));
    unsigned next = sign > 0 ? i + 1 : i - 1;
    double line = h[i] + sign * (h[next] - h[i]) / (n[next] - n[i]);
    s->height[i] = h[i - 1] < parabola && parabola < h[i + 1] ? parabola : line;
    s->place[i] += sign;
}

static void follow_quantile(struct spot *s, double x) {
    static const double share[SPOT_MARKERS] = {0, SPOT_LEVEL / 2, SPOT_LEVEL, (1 + SPOT_LEVEL) / 2,
                                               1};
    unsigned cell = 0;
    s->height[0] = fmin(s->height[0], x);
    s->height[4] = fmax(s->height[4], x);
    while (cell < 3 && x >= s->height[cell + 1]) {
        cell++;
    }
    for (unsigned i = cell + 1; i < SPOT_MARKERS; i++) {
        s->place[i]++;
    }
    s->count++;
    for (unsigned i = 1; i < SPOT_MARKERS - 1; i++) {
        double off = share[i] * (s->count - 1) - s->place[i];
        if ((off >= 1 && s->place[i + 1] - s->place[i] > 1) ||
            (off <= -1 && s->place[i - 1] - s->place[i] < -1)) {
            move_marker(s, i, off > 0 ? 1 : -1);
        }
    }
}

void spot_add(struct spot *s, double x) {
    if (!isfinite(x)) {
        return;
    }
    if (s->count < SPOT_MARKERS) {
        sort_first(s, x);
        return;
    }
    // Peaks are counted once the quantile is settled enough.
    if (s->count >= SPOT_LEARN / 4 && x > s->height[2]) {
        double over = x - s->height[2];
        s->sum += over;
        s->squares += over * over;
        s->peaks++;
    }
    follow_quantile(s, x);
}

double spot_largest(const struct spot *s) {
    return s->count < SPOT_MARKERS ? -(double)INFINITY : s->height[SPOT_MARKERS - 1];
}

bool spot_is_known(const struct spot *s) {
    return s->count >= SPOT_LEARN && s->peaks >= 5;
}

double spot_threshold(const struct spot *s, double q) {
    double shape, scale, mean = s->sum / s->peaks;
    spot_fit(mean, s->squares / s->peaks - mean * mean, &shape, &scale);
    shape *= s->peaks / (s->peaks + SHAPE_PRIOR);
    scale = mean * (1 - shape); // so that the excesses' mean stays
    return spot_quantile(s->height[2], shape, scale, s->count - SPOT_LEARN / 4., s->peaks, q);
}
