#include "alerts/robust_z.h"

#include <math.h>
#include <string.h>

#define MAD_TO_SIGMA (1 / 0.6744897501960817)
#define MEAN_DEVIATION_TO_SIGMA 1.2533
#define WINSOR_SIGMAS 4

// The first place whose value is not below x. The halving takes no branch that depends on the
// values: they are random, and a mispredicted branch costs more than the comparison.
static unsigned place_of(const struct robust_z *r, float x) {
    unsigned base = 0, left = r->count;
    while (left > 0) {
        unsigned half = left - left / 2;
        base += (unsigned)(r->sorted[base + half - 1] < x) * half;
        left /= 2;
    }
    return base;
}

static void insert(struct robust_z *r, float x) {
    unsigned at = place_of(r, x);
    memmove(&r->sorted[at + 1], &r->sorted[at], (r->count - at) * sizeof *r->sorted);
    r->sorted[at] = x;
    r->count++;
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

// The k smallest distances from the median lie around the middle: `below` of them under it and the
// rest above. Searches for that number by halving and returns the largest of them.
static double kth_distance(const struct robust_z *r, double median, unsigned k,
                           unsigned *below_count) {
    unsigned middle =
        r->count / 2u; // before it nothing is above the median, from it on nothing below
    unsigned above_max = r->count - middle;
    unsigned low = k > above_max ? k - above_max : 0, high = k < middle ? k : middle;
    while (low < high) {
        unsigned below = (low + high) / 2; // enough when the next one is as far as the last above
        double next_below = median - (double)r->sorted[middle - 1 - below];
        double last_above = (double)r->sorted[middle + k - below - 1] - median;
        unsigned enough = next_below >= last_above;
        high = enough * below + (1 - enough) * high;
        low = enough * low + (1 - enough) * (below + 1);
    }
    *below_count = low;
    double under = low > 0 ? median - (double)r->sorted[middle - low] : 0;
    double over = k > low ? (double)r->sorted[middle + k - low - 1] - median : 0;
    return under > over ? under : over;
}

static double median_distance(const struct robust_z *r, double median) {
    unsigned half = r->count / 2u, below;
    if (r->count % 2) {
        return kth_distance(r, median, half + 1, &below);
    }
    double last = kth_distance(r, median, half, &below);
    unsigned above = half - below; // the next one is on either side
    double under = below < half ? median - (double)r->sorted[half - 1 - below] : HUGE_VAL;
    double over = above < half ? (double)r->sorted[half + above] - median : HUGE_VAL;
    return (last + (under < over ? under : over)) / 2;
}

static double mean_distance(const struct robust_z *r, double median) {
    double sum = 0;
    for (unsigned i = 0; i < r->count; i++) {
        sum += fabs((double)r->sorted[i] - median);
    }
    return sum / r->count;
}

static void refresh(struct robust_z *r) {
    unsigned half = r->count / 2u;
    double median = r->count % 2 ? (double)r->sorted[half]
                                 : ((double)r->sorted[half - 1] + (double)r->sorted[half]) / 2;
    double sigma = MAD_TO_SIGMA * median_distance(r, median);
    if (!(sigma > 0)) { // more than half of the values are the same
        sigma =
            fmax(MEAN_DEVIATION_TO_SIGMA * mean_distance(r, median), 1e-12 + 1e-6 * fabs(median));
    }
    r->median = (float)median;
    r->sigma = (float)sigma;
}

void robust_z_add(struct robust_z *r, double x) {
    float value = (float)x;
    if (r->count < ROBUST_Z_WINDOW) {
        insert(r, value);
    } else {
        replace(r, r->ring[r->next], value);
    }
    r->ring[r->next] = value;
    r->next = (uint16_t)((r->next + 1) % ROBUST_Z_WINDOW);
    if (r->count == ROBUST_Z_WINDOW && r->next % ROBUST_Z_REFRESH == 0) {
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
           (r->count == ROBUST_Z_WINDOW || r->next == r->count);
}
