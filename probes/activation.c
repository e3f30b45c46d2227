// Integrates over u = (z - mean) / deviation, in pairs at u and -u so that the odd part of f
// cancels exactly. Panels end where f has a kink or bends (|z| in bend[]) and are at most 3
// deviations wide; beyond |z| = 40 every f here is a straight line to the last bit. Second central
// moments come from f(mean + d) - f(mean) in a form that does not cancel, so that they hold for
// tiny variances too.
#include "probes/activation.h"

#include "base/num.h"
#include "probes/quadrature.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>

struct activation {
    const char *name;
    double (*value)(double z);
    double (*slope)(double z);
    double (*log_slope)(double z);
    // f(z) - f(from) for z = from + d
    double (*rise)(double from, double d, double z);
    const char *no_entropy; // NULL where log_slope is there
    double bound;           // beyond which |z| it is within 0.01 of a bound; 0: it has none
};

static const double variance_least = 1e-12, most = 1e12;

// --- the activations ---

static double one(double z) {
    (void)z;
    return 1;
}

static double zero(double z) {
    (void)z;
    return 0;
}

static double linear(double z) {
    return z;
}

static double linear_rise(double from, double d, double z) {
    (void)from, (void)z;
    return d;
}

static double relu(double z) {
    return z > 0 ? z : 0;
}

static double relu_slope(double z) {
    return z > 0 ? 1 : 0;
}

static double relu_rise(double from, double d, double z) {
    if (from > 0 && z > 0) {
        return d;
    }
    return relu(z) - relu(from);
}

static const double leak = 0.01;

static double leaky(double z) {
    return z > 0 ? z : leak * z;
}

static double leaky_slope(double z) {
    return z > 0 ? 1 : leak;
}

static double leaky_log_slope(double z) {
    return z > 0 ? 0 : log(leak);
}

static double leaky_rise(double from, double d, double z) {
    if ((from > 0) == (z > 0)) {
        return z > 0 ? d : leak * d;
    }
    return leaky(z) - leaky(from);
}

static double sigmoid(double z) {
    double e = exp(-fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double sigmoid_slope(double z) {
    double e = exp(-fabs(z));
    return e / ((1 + e) * (1 + e));
}

static double sigmoid_log_slope(double z) {
    double x = fabs(z);
    return -x - 2 * log1p(exp(-x));
}

static double sigmoid_rise(double from, double d, double z) {
    return d > 0 ? -expm1(-d) * sigmoid(z) * sigmoid(-from)
                 : expm1(d) * sigmoid(from) * sigmoid(-z);
}

static double tanh_slope(double z) {
    return 4 * sigmoid_slope(2 * z);
}

static double tanh_log_slope(double z) {
    double x = fabs(z), t = tanh(z);
    return x < 1 ? log1p(-t * t) : 2 * (M_LN2 - x - log1p(exp(-2 * x)));
}

static double tanh_rise(double from, double d, double z) {
    return 2 * sigmoid_rise(2 * from, 2 * d, 2 * z);
}

static double softplus(double z) {
    return fmax(z, 0) + log1p(exp(-fabs(z)));
}

static double softplus_log_slope(double z) {
    return -softplus(-z);
}

static double softplus_rise(double from, double d, double z) {
    return fabs(d) < 1 ? log1p(expm1(d) * sigmoid(from)) : softplus(z) - softplus(from);
}

static double elu(double z) {
    return z > 0 ? z : expm1(z);
}

static double elu_slope(double z) {
    return z > 0 ? 1 : exp(z);
}

static double elu_log_slope(double z) {
    return z > 0 ? 0 : z;
}

static double elu_rise(double from, double d, double z) {
    if (from > 0 && z > 0) {
        return d;
    }
    if (from <= 0 && z <= 0) {
        return d > 0 ? -exp(z) * expm1(-d) : exp(from) * expm1(d);
    }
    return elu(z) - elu(from);
}

static double normal_density(double z) {
    return M_2_SQRTPI * M_SQRT1_2 / 2 * exp(-z * z / 2);
}

static double normal_share(double z) {
    return erfc(-z * M_SQRT1_2) / 2;
}

static double gelu(double z) {
    return z * normal_share(z);
}

static double gelu_slope(double z) {
    return normal_share(z) + z * normal_density(z);
}

static double normal_density_at(const void *unused, double z) {
    (void)unused;
    return normal_density(z);
}

static double gelu_rise(double from, double d, double z) {
    if (fabs(d) > 1 || from == 0) {
        return gelu(z) - gelu(from);
    }
    // The density's integral: a difference of shares would cancel.
    double share = quadrature_panel(normal_density_at, NULL, from, from + d);
    return d * normal_share(z) + from * share;
}

static double silu(double z) {
    return z * sigmoid(z);
}

static double silu_slope(double z) {
    return sigmoid(z) + z * sigmoid_slope(z);
}

static double silu_rise(double from, double d, double z) {
    return d * sigmoid(z) + from * sigmoid_rise(from, d, z);
}

static const char has_an_atom[] = "none: all of z < 0 becomes one value";
static const char turns_back[] = "none: the activation falls and rises, it is not one-to-one";

#define LN_99 4.59511985013459       // logit of 0.99
#define ATANH_099 2.6466524123622461 // tanh is 0.99 there

static const struct activation activations[] = {
    {"linear", linear, one, zero, linear_rise, NULL, 0},
    {"relu", relu, relu_slope, NULL, relu_rise, has_an_atom, 0},
    {"leaky_relu", leaky, leaky_slope, leaky_log_slope, leaky_rise, NULL, 0},
    {"tanh", tanh, tanh_slope, tanh_log_slope, tanh_rise, NULL, ATANH_099},
    {"sigmoid", sigmoid, sigmoid_slope, sigmoid_log_slope, sigmoid_rise, NULL, LN_99},
    {"softplus", softplus, sigmoid, softplus_log_slope, softplus_rise, NULL, 0},
    {"elu", elu, elu_slope, elu_log_slope, elu_rise, NULL, 0},
    {"gelu", gelu, gelu_slope, NULL, gelu_rise, turns_back, 0},
    {"silu", silu, silu_slope, NULL, silu_rise, turns_back, 0},
};

// --- their names ---

static bool same_name(const char *a, const char *b) {
    for (;; a++, b++) {
        while (*a == '_' || *a == '-') {
            a++;
        }
        while (*b == '_' || *b == '-') {
            b++;
        }
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) {
            return false;
        }
        if (*a == '\0') {
            return true;
        }
    }
}

const struct activation *activation_find(const char *name) {
    static const struct {
        const char *name, *means;
    } others[] = {
        {"identity", "linear"}, {"none", "linear"}, {"logistic", "sigmoid"}, {"swish", "silu"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (same_name(name, others[i].name)) {
            name = others[i].means;
        }
    }
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (same_name(name, activations[i].name)) {
            return &activations[i];
        }
    }
    return NULL;
}

const char *activation_name(const struct activation *a) {
    return a->name;
}

// --- their averages ---

static bool is_in_range(double mean, double variance) {
    return variance >= variance_least && variance <= most && fabs(mean) <= most;
}

struct sums {
    double value, value2, rise, rise2, slope, slope2, log_slope;
};

static void add_pair(struct sums *s, const struct activation *a, double mean, double d,
                     double weight) {
    double up = mean + d, down = mean - d;
    double value_up = a->value(up), value_down = a->value(down);
    double rise_up = a->rise(mean, d, up), rise_down = a->rise(mean, -d, down);
    double slope_up = a->slope(up), slope_down = a->slope(down);
    s->value += weight * (value_up + value_down);
    s->value2 += weight * (value_up * value_up + value_down * value_down);
    s->rise += weight * (rise_up + rise_down);
    s->rise2 += weight * (rise_up * rise_up + rise_down * rise_down);
    s->slope += weight * (slope_up + slope_down);
    s->slope2 += weight * (slope_up * slope_up + slope_down * slope_down);
    if (a->log_slope) {
        s->log_slope += weight * (a->log_slope(up) + a->log_slope(down));
    }
}

static void add_panel(struct sums *s, const struct activation *a, double mean, double deviation,
                      double low, double high) {
    double middle = (low + high) / 2, half = (high - low) / 2;
    for (int i = 0; i < 2 * QUADRATURE_HALF; i++) {
        int k = i / 2;
        double u = middle + (i % 2 ? half : -half) * quadrature_node[k];
        add_pair(s, a, mean, deviation * u, half * quadrature_weight[k] * normal_density(u));
    }
}

static size_t find_breaks(double mean, double deviation, double breaks[32]) {
    static const double bend[] = {0, 2, 5, 12, 40};
    // Where the kink lies far out, what little there is may come from there.
    double kink = fabs(mean) / deviation, reach = kink > 4 ? 38 : 9;
    size_t n = 0;
    for (size_t i = 0; i < sizeof bend / sizeof *bend; i++) {
        breaks[n++] = fabs(kink - bend[i] / deviation);
        breaks[n++] = kink + bend[i] / deviation;
    }
    for (double u = 3; u < reach; u += 3) {
        breaks[n++] = u;
    }
    if (kink > 4) { // the density falls steeply there
        breaks[n++] = kink + 0.5;
        breaks[n++] = kink + 1.5;
    }
    return quadrature_breaks(breaks, n, 0, reach);
}

bool activation_transfer(const struct activation *a, double mean, double variance,
                         struct activation_transfer *out) {
    if (!is_in_range(mean, variance)) {
        return false;
    }
    double deviation = sqrt(variance), breaks[32];
    struct sums s = {0};
    size_t n = find_breaks(mean, deviation, breaks);
    for (size_t i = 1; i < n; i++) {
        add_panel(&s, a, mean, deviation, breaks[i - 1], breaks[i]);
    }
    double of_variance = s.rise2 - s.rise * s.rise;
    *out = (struct activation_transfer){
        .mean = s.value,
        .efficiency = s.value2 / (mean * mean + variance),
        .variance = of_variance,
        .chi = s.slope2,
        .gain = s.slope,
        // In this order: far out the square of the slope would vanish.
        .linearity =
            of_variance > 0 ? fmin(s.slope / of_variance * s.slope * variance, 1) : num_missing(),
        .entropy = a->log_slope ? s.log_slope : num_missing(),
        .no_entropy = a->no_entropy,
    };
    return true;
}

// --- idle units ---

bool activation_can_die(const struct activation *a) {
    return a->no_entropy == has_an_atom;
}

bool activation_can_saturate(const struct activation *a) {
    return a->bound > 0;
}

bool activation_is_identity(const struct activation *a) {
    return a == &activations[0];
}

bool activation_idle(const struct activation *a, double mean, double variance,
                     struct activation_idle *out) {
    if (!is_in_range(mean, variance)) {
        return false;
    }
    double deviation = sqrt(variance);
    out->dead = activation_can_die(a) ? normal_share(-mean / deviation) : num_missing();
    out->saturated = a->bound > 0 ? normal_share((mean - a->bound) / deviation) +
                                        normal_share((-mean - a->bound) / deviation)
                                  : num_missing();
    return true;
}
