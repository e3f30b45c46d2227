#include "probes/reference_init.h"

#include "probes/entropy.h"
#include "probes/quadrature.h"

#include <math.h>

static const double normal_reach = 9; // standard deviations; 2e-19 lies outside

static const char *check_part(const struct reference_part *p) {
    if (!(p->weight > 0) || !(p->weight < 1e100)) {
        return "a part's weight is not above 0";
    }
    if (!(fabs(p->a) < 1e100) || !(fabs(p->b) < 1e100)) {
        return "a part's parameters are not finite numbers below 1e100";
    }
    if (p->draw == REFERENCE_NORMAL && !(p->b > 1e-100)) {
        return "a normal distribution's standard deviation is not above 0";
    }
    if (p->draw == REFERENCE_UNIFORM && !(p->b - p->a > 1e-100)) {
        return "a uniform distribution's high is not above its low";
    }
    return NULL;
}

const char *reference_init_check(const struct reference_init *init) {
    if (init->count < 1 || init->count > REFERENCE_PARTS_MAX) {
        return "an initialisation has 1 to 8 parts";
    }
    for (size_t i = 0; i < init->count; i++) {
        const struct reference_part *p = &init->parts[i];
        const char *wrong = check_part(p);
        if (wrong) {
            return wrong;
        }
        bool blocks = init->mixing == REFERENCE_BLOCKS;
        if (p->draw == REFERENCE_CONSTANT && init->count > 1 && !blocks) {
            return "a constant cannot be a part of a mixture of densities";
        }
        if (blocks && p->weight != floor(p->weight)) {
            return "a block's size is not a whole number";
        }
    }
    return NULL;
}

// --- entropy ---

static double part_density(const struct reference_part *p, double x) {
    if (p->draw == REFERENCE_UNIFORM) {
        return x >= p->a && x < p->b ? 1 / (p->b - p->a) : 0;
    }
    double u = (x - p->a) / p->b;
    return M_2_SQRTPI * M_SQRT1_2 / 2 * exp(-u * u / 2) / p->b;
}

static double entropy_density(const void *context, double x) {
    const struct reference_init *one = context;
    double density = 0;
    for (size_t i = 0; i < one->count; i++) {
        density += one->parts[i].weight * part_density(&one->parts[i], x);
    }
    return density > 0 ? -density * log(density) : 0;
}

static bool is_constant(const struct reference_part *p) {
    return p->draw == REFERENCE_CONSTANT;
}

static double part_entropy(const struct reference_part *p) {
    return p->draw == REFERENCE_NORMAL ? entropy_normal(1, p->b * p->b)
                                       : entropy_uniform(1, p->a, p->b);
}

// Panels end at the uniforms' edges and at every normal's half deviations, closer where the tail of
// a narrow one meets a wide one and the logarithm bends.
static double mixture_entropy(const struct reference_init *one) {
    double breaks[REFERENCE_PARTS_MAX * 80 + 2], low = HUGE_VAL, high = -HUGE_VAL;
    size_t n = 0;
    for (size_t i = 0; i < one->count; i++) {
        const struct reference_part *p = &one->parts[i];
        double reach = p->draw == REFERENCE_NORMAL ? normal_reach * p->b : 0;
        low = fmin(low, p->a - reach);
        high = fmax(high, reach > 0 ? p->a + reach : p->b);
        for (int k = 0; reach > 0 && k <= 72; k++) {
            breaks[n++] = p->a + reach * (k - 36) / 36;
        }
        if (p->draw == REFERENCE_UNIFORM) {
            breaks[n++] = p->a;
            breaks[n++] = p->b;
        }
    }
    n = quadrature_breaks(breaks, n, low, high);
    double sum = 0;
    for (size_t i = 1; i < n; i++) {
        sum += quadrature_panel(entropy_density, one, breaks[i - 1], breaks[i]);
    }
    return sum;
}

static bool is_one_distribution(const struct reference_init *one) {
    for (size_t i = 1; i < one->count; i++) {
        const struct reference_part *p = &one->parts[i], *q = &one->parts[0];
        if (p->draw != q->draw || p->a != q->a || p->b != q->b) {
            return false;
        }
    }
    return true;
}

bool reference_init_entropy(const struct reference_init *init, double n, double *entropy,
                            const char **reason) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < init->count; i++) {
        if (is_constant(&init->parts[i])) {
            *reason = "constant parameters have no differential entropy";
            return false;
        }
        total += init->parts[i].weight;
        sum += init->parts[i].weight * part_entropy(&init->parts[i]);
    }
    if (init->mixing == REFERENCE_BLOCKS && init->count > 1) {
        *reason = "the blocks' sizes do not add up to the number of parameters";
        *entropy = sum;
        return total == n;
    }
    struct reference_init one = reference_init_of(init, 0);
    *entropy =
        n * (is_one_distribution(&one) ? part_entropy(&one.parts[0]) : mixture_entropy(&one));
    return true;
}

// --- one parameter ---

struct reference_init reference_init_of(const struct reference_init *init, size_t index) {
    struct reference_init one = *init;
    double total = 0;
    if (init->mixing == REFERENCE_BLOCKS) {
        size_t block = 0;
        for (double end = init->parts[0].weight; block + 1 < init->count && (double)index >= end;) {
            block++;
            end += init->parts[block].weight;
        }
        one.count = 1;
        one.parts[0] = init->parts[block];
    }
    one.mixing = REFERENCE_MIXTURE;
    for (size_t i = 0; i < one.count; i++) {
        total += one.parts[i].weight;
    }
    for (size_t i = 0; i < one.count; i++) {
        one.parts[i].weight /= total;
    }
    return one;
}

static double part_mean(const struct reference_part *p) {
    return p->draw == REFERENCE_UNIFORM ? (p->a + p->b) / 2 : p->a;
}

static double part_variance(const struct reference_part *p) {
    double width = p->b - p->a;
    return p->draw == REFERENCE_NORMAL    ? p->b * p->b
           : p->draw == REFERENCE_UNIFORM ? width * width / 12
                                          : 0;
}

double reference_init_mean(const struct reference_init *one) {
    double mean = 0;
    for (size_t i = 0; i < one->count; i++) {
        mean += one->parts[i].weight * part_mean(&one->parts[i]);
    }
    return mean;
}

double reference_init_variance(const struct reference_init *one) {
    double mean = reference_init_mean(one), variance = 0;
    for (size_t i = 0; i < one->count; i++) {
        double d = part_mean(&one->parts[i]) - mean;
        variance += one->parts[i].weight * (part_variance(&one->parts[i]) + d * d);
    }
    return variance;
}

struct reference_wave reference_init_wave(const struct reference_init *one, double t) {
    struct reference_wave sum = {0, 0};
    for (size_t i = 0; i < one->count; i++) {
        const struct reference_part *p = &one->parts[i];
        double size = 1, phase = t * part_mean(p);
        if (p->draw == REFERENCE_NORMAL) {
            size = exp(-t * t * p->b * p->b / 2);
        } else if (p->draw == REFERENCE_UNIFORM) {
            double half = t * (p->b - p->a) / 2;
            size = half != 0 ? sin(half) / half : 1;
        }
        sum.re += p->weight * size * cos(phase);
        sum.im += p->weight * size * sin(phase);
    }
    return sum;
}

double reference_init_wave_bound(const struct reference_init *one, double t) {
    double sum = 0;
    for (size_t i = 0; i < one->count; i++) {
        const struct reference_part *p = &one->parts[i];
        double bound = 1;
        if (p->draw == REFERENCE_NORMAL) {
            bound = exp(-t * t * p->b * p->b / 2);
        } else if (p->draw == REFERENCE_UNIFORM) {
            bound = fmin(1, 2 / (t * (p->b - p->a)));
        }
        sum += p->weight * bound;
    }
    return sum;
}

double reference_init_extent(const struct reference_init *one) {
    double mean = reference_init_mean(one), extent = 0;
    for (size_t i = 0; i < one->count; i++) {
        const struct reference_part *p = &one->parts[i];
        double own = p->draw == REFERENCE_NORMAL    ? normal_reach * p->b
                     : p->draw == REFERENCE_UNIFORM ? (p->b - p->a) / 2
                                                    : 0;
        extent = fmax(extent, fabs(part_mean(p) - mean) + own);
    }
    return extent;
}
