#include "alerts/robust_z.h"

#include <math.h>
#include <string.h>

#define MAD_TO_SIGMA (1 / 0.6744897501960817)
#define MEAN_DEVIATION_TO_SIGMA 1.2533
#define WINSOR_SIGMAS 4

// The first place whose value is not below x. The halving takes no branch that depends on the
// values: they are random, and a mispredicted branch costs more than the comparison.
static unsigned place_of(const struct robust_z *r, float x) {
    unsigned base = 0, left = r->settled;
    while (left > 0) {
        unsigned half = left - left / 2;
        base += (unsigned)(r->sorted[base + half - 1] < x) * half;
        left /= 2;
    }
    return base;
}

static void insert(struct robust_z *r, float x) {
    unsigned at = place_of(r, x);
    memmove(&r->sorted[at + 1], &r->sorted[at], (r->settled - at) * sizeof *r->sorted);
    r->sorted[at] = x;
    r->settled++;
}

static void replace(struct robust_z *r, float old, float x) {
    unsigned from = place_of(r, old), to = place_of(r, x);
    if (to > from) {
        to--;
        memmove(&r->sorted[from], &r->sorted[from + 1], (to - from) * sizeof *r->sorted);
    } else {
        memmove(&r->sorted[to + 1], &r->sorted[to], (from - to) * sizeof *r->sorted);
    }
    r->sorted[to] = x;
}

#define HALF                                                                                       \
    (ROBUST_Z_WINDOW / 2u) // before it nothing is above the median, from it on nothing below

// The median of the distances from the median: the mean of the HALF-th smallest and the one after
// it. The HALF smallest lie around the middle, `below` of them under it and the rest above; their
// number is searched for by halving.
static double median_distance(const struct robust_z *r, double median) {
    unsigned low = 0, high = HALF;
    while (low < high) {
        unsigned below = (low + high) / 2; // enough when the next one is as far as the last above
        double next_below = median - (double)r->sorted[HALF - 1 - below];
        double last_above = (double)r->sorted[2 * HALF - below - 1] - median;
        unsigned enough = next_below >= last_above;
        high = enough * below + (1 - enough) * high;
        low = enough * low + (1 - enough) * (below + 1);
    }
    unsigned below = low, above = HALF - low;
    double last_under = below > 0 ? median - (double)r->sorted[HALF - below] : 0;
    double last_over = above > 0 ? (double)r->sorted[HALF + above - 1] - median : 0;
    double last = last_under > last_over ? last_under : last_over;
    double under = below < HALF ? median - (double)r->sorted[HALF - 1 - below] : HUGE_VAL;
    double over = above < HALF ? (double)r->sorted[HALF + above] - median : HUGE_VAL;
    return (last + (under < over ? under : over)) / 2;
}

static double mean_distance(const struct robust_z *r, double median) {
    double sum = 0;
    for (unsigned i = 0; i < ROBUST_Z_WINDOW; i++) {
        sum += fabs((double)r->sorted[i] - median);
    }
    return sum / ROBUST_Z_WINDOW;
}

static void refresh(struct robust_z *r) {
    double median = ((double)r->sorted[HALF - 1] + (double)r->sorted[HALF]) / 2;
    double sigma = MAD_TO_SIGMA * median_distance(r, median);
    if (!(sigma > 0)) { // more than half of the values are the same
        sigma =
            fmax(MEAN_DEVIATION_TO_SIGMA * mean_distance(r, median), 1e-12 + 1e-6 * fabs(median));
    }
    r->median = (float)median;
    r->sigma = (float)sigma;
}

// The values that wait enter the window; once it is full each takes the place of its oldest.
static void settle(struct robust_z *r) {
    float *at = &r->ring[r->next - ROBUST_Z_REFRESH];
    for (unsigned i = 0; i < ROBUST_Z_REFRESH; i++) {
        if (r->settled < ROBUST_Z_WINDOW) {
            insert(r, r->waiting[i]);
        } else {
            replace(r, at[i], r->waiting[i]);
        }
        at[i] = r->waiting[i];
    }
}

void robust_z_add(struct robust_z *r, double x) {
    r->waiting[r->next % ROBUST_Z_REFRESH] = (float)x;
    if (r->count < ROBUST_Z_WINDOW) {
        r->count++;
    }
    r->next++;
    if (r->next % ROBUST_Z_REFRESH > 0) {
        return;
    }
    settle(r);
    r->next %= ROBUST_Z_WINDOW;
    if (r->settled == ROBUST_Z_WINDOW) {
        refresh(r);
    }
}

void robust_z_add_winsorised(struct robust_z *r, double x) {
    if (robust_z_is_full(r)) {
        double reach = WINSOR_SIGMAS * (double)r->sigma, median = (double)r->median;
        x = fmin(fmax(x, median - reach), median + reach);
    }
    robust_z_add(r, x);
}

bool robust_z_is_full(const struct robust_z *r) {
    return r->count == ROBUST_Z_WINDOW;
}

double robust_z_score(const struct robust_z *r, double x) {
    return robust_z_is_full(r) ? (x - (double)r->median) / (double)r->sigma : 0;
}

void robust_z_clear(struct robust_z *r) {
    memset(r, 0, sizeof *r);
}

bool robust_z_is_valid(const struct robust_z *r) {
    return r->count <= ROBUST_Z_WINDOW && r->next < ROBUST_Z_WINDOW &&
           r->settled == r->count - r->count % ROBUST_Z_REFRESH &&
           (r->count == ROBUST_Z_WINDOW || r->next == r->count);
}
