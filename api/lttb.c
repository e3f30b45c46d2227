#include "api/lttb.h"

#include <math.h>
#include <string.h>

// A merged point shows the extreme that stands out more.
static void show_extreme(struct bucket *b) {
    if (b->count > 1 && isfinite(b->min) && isfinite(b->max) && isfinite(b->mean)) {
        b->value = b->max - b->mean > b->mean - b->min ? b->max : b->min;
    }
    b->min = b->max = b->value;
}

static double height(const struct bucket *b) {
    return isfinite(b->value) ? b->value : 0;
}

// Twice the area of the triangle over a, the candidate and the mean of what follows.
static double area(const struct bucket *a, const struct bucket *b, double step, double value) {
    double x = (double)a->step, y = height(a);
    return fabs((x - step) * (height(b) - y) - (x - (double)b->step) * (value - y));
}

static void mean_of(const struct bucket *at, size_t first, size_t end, double *step,
                    double *value) {
    *step = *value = 0;
    for (size_t i = first; i < end; i++) {
        *step += (double)at[i].step / (double)(end - first);
        *value += height(&at[i]) / (double)(end - first);
    }
}

void lttb_reduce(struct buckets *b, size_t points) {
    for (size_t i = 1; i + 1 < b->n; i++) {
        show_extreme(&b->at[i]);
    }
    if (b->n <= points || points < 3) {
        b->n = b->n && points == 1 ? 1 : b->n;
        if (points == 2 && b->n > 2) {
            b->at[1] = b->at[b->n - 1];
            b->n = 2;
        }
        return;
    }
    size_t n = b->n, middle = points - 2, kept = 1;
    for (size_t k = 0; k < middle; k++) {
        size_t first = 1 + k * (n - 2) / middle, end = 1 + (k + 1) * (n - 2) / middle;
        size_t next_end = k + 1 < middle ? 1 + (k + 2) * (n - 2) / middle : n;
        double step, value, largest = -1;
        mean_of(b->at, end, next_end, &step, &value);
        size_t best = first;
        for (size_t i = first; i < end; i++) {
            double a = isfinite(b->at[i].value) ? area(&b->at[kept - 1], &b->at[i], step, value)
                                                : (double)INFINITY;
            if (a > largest) {
                largest = a;
                best = i;
            }
        }
        b->at[kept++] = b->at[best];
    }
    b->at[kept++] = b->at[n - 1];
    b->n = kept;
}
