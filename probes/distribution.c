// Standard errors by the delta method: of a figure with the derivative g_i to the share p_i, the
// variance is that of g under p over the number of draws. Where all g_i are the same (a flat
// histogram's entropy) the next order stands in: (occupied - 1) / (2 n^2).
#include "probes/distribution.h"

#include "base/num.h"

#include <math.h>

static struct distribution_figure none(const char *reason) {
    return (struct distribution_figure){.value = num_missing(), .reason = reason};
}

// The total of the counts; NULL or why they cannot be used.
static const char *sum_counts(const double *counts, size_t bins, double *total) {
    *total = 0;
    for (size_t i = 0; i < bins; i++) {
        if (!(counts[i] >= 0) || !isfinite(counts[i])) {
            return "a count is negative or not finite";
        }
        *total += counts[i];
    }
    if (bins == 0) {
        return "no bins";
    }
    if (!isfinite(*total)) {
        return "the counts' sum is too large";
    }
    return *total > 0 ? NULL : "no counts";
}

static const char *check_widths(const double *widths, size_t bins) {
    for (size_t i = 0; i < bins; i++) {
        if (!(widths[i] > 0) || !isfinite(widths[i])) {
            return "a bin's width is not a number above 0";
        }
    }
    return NULL;
}

static double occupied(const double *counts, size_t bins) {
    double n = 0;
    for (size_t i = 0; i < bins; i++) {
        n += counts[i] > 0;
    }
    return n;
}

// Mean and variance of -ln density; widths NULL: of every bin 1.
static struct distribution_figure surprise(const double *counts, const double *widths,
                                           size_t bins) {
    double total, mean = 0, variance = 0;
    const char *reason = sum_counts(counts, bins, &total);
    if (!reason && widths) {
        reason = check_widths(widths, bins);
    }
    if (reason) {
        return none(reason);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < bins; i++) {
            double share = counts[i] / total;
            if (share > 0) {
                double s = (widths ? log(widths[i]) : 0) - log(share);
                mean += pass == 0 ? share * s : 0;
                variance += pass == 1 ? share * (s - mean) * (s - mean) : 0;
            }
        }
    }
    double second = (occupied(counts, bins) - 1) / (2 * total);
    return (struct distribution_figure){.value = mean, .error = sqrt((variance + second) / total)};
}

struct distribution_figure distribution_entropy(const double *counts, size_t bins) {
    return surprise(counts, NULL, bins);
}

struct distribution_figure distribution_entropy_corrected(const double *counts, size_t bins) {
    struct distribution_figure f = surprise(counts, NULL, bins);
    double total;
    if (!sum_counts(counts, bins, &total)) {
        f.value += (occupied(counts, bins) - 1) / (2 * total);
    }
    return f;
}

struct distribution_figure distribution_differential(const double *counts, const double *widths,
                                                     size_t bins) {
    return surprise(counts, widths, bins);
}

// --- two histograms ---

// What the loops over both need: totals, and the running mean and mean square of a derivative under
// each of them.
struct comparison {
    double total[2];
    double mean[2], square[2];
};

static const char *compare(struct comparison *c, const double *a, const double *b, size_t bins) {
    *c = (struct comparison){0};
    const char *reason = sum_counts(a, bins, &c->total[0]);
    return reason ? reason : sum_counts(b, bins, &c->total[1]);
}

static void add_slope(struct comparison *c, int which, double share, double slope) {
    c->mean[which] += share * slope;
    c->square[which] += share * slope * slope;
}

static double standard_error(const struct comparison *c) {
    double variance = 0;
    for (int i = 0; i < 2; i++) {
        variance += fmax(c->square[i] - c->mean[i] * c->mean[i], 0) / c->total[i];
    }
    return sqrt(variance);
}

static double pooled_share(const struct comparison *c, double a, double b) {
    return (a + b) / (c->total[0] + c->total[1]);
}

struct distribution_figure distribution_total_variation(const double *a, const double *b,
                                                        size_t bins) {
    struct comparison c;
    const char *reason = compare(&c, a, b, bins);
    if (reason) {
        return none(reason);
    }
    struct distribution_figure f = {0};
    double draws = 1 / c.total[0] + 1 / c.total[1];
    for (size_t i = 0; i < bins; i++) {
        double p = a[i] / c.total[0], q = b[i] / c.total[1], both = pooled_share(&c, a[i], b[i]);
        double sign = (p > q) - (p < q);
        f.value += fabs(p - q) / 2;
        f.floor += sqrt(2 / M_PI * both * (1 - both) * draws) / 2;
        add_slope(&c, 0, p, sign / 2);
        add_slope(&c, 1, q, -sign / 2);
    }
    f.value = fmin(f.value, 1);
    f.error = standard_error(&c);
    return f;
}

static double part_log_part(double x) {
    return x > -1 ? (1 + x) * log1p(x) : 0;
}

// A bin's part of the divergence, m [(1+x) ln(1+x) + (1-x) ln(1-x)] / 2 with m = (p+q)/2 and
// x = (p-q)/(p+q): as exact for nearly equal shares as the shares are, and never negative.
static double divergence_part(double p, double q) {
    double m = (p + q) / 2, x = m > 0 ? (p - q) / (p + q) : 0;
    return m * fmax(part_log_part(x) + part_log_part(-x), 0) / 2;
}

struct distribution_figure distribution_divergence(const double *a, const double *b, size_t bins) {
    struct comparison c;
    const char *reason = compare(&c, a, b, bins);
    if (reason) {
        return none(reason);
    }
    struct distribution_figure f = {0};
    double draws = 1 / c.total[0] + 1 / c.total[1];
    for (size_t i = 0; i < bins; i++) {
        double p = a[i] / c.total[0], q = b[i] / c.total[1];
        f.value += divergence_part(p, q);
        f.floor += (1 - pooled_share(&c, a[i], b[i])) * draws / 8 * (a[i] + b[i] > 0);
        if (p > 0) {
            add_slope(&c, 0, p, log(2 * p / (p + q)) / 2);
        }
        if (q > 0) {
            add_slope(&c, 1, q, log(2 * q / (p + q)) / 2);
        }
    }
    f.value = fmin(f.value, M_LN2);
    f.floor = fmin(f.floor, M_LN2);
    f.error = standard_error(&c);
    return f;
}

struct distribution_figure distribution_distance(const double *a, const double *b, size_t bins) {
    struct distribution_figure f = distribution_divergence(a, b, bins);
    if (f.reason) {
        return f;
    }
    // d sqrt(D) = dD / (2 sqrt(D)), which has no meaning below the floor: there the floor is the
    // error.
    double distance = sqrt(f.value), floor = sqrt(f.floor);
    return (struct distribution_figure){
        .value = distance,
        .error = distance > floor ? f.error / (2 * distance) : floor,
        .floor = floor,
    };
}
