// A run of length r has kappa_r = kappa + r and alpha_r = alpha + r/2, so only its mean and beta
// are kept. Its next observation is Student's t with 2 alpha_r degrees of freedom around its mean,
// of scale sqrt(beta (kappa_r + 1) / (alpha_r kappa_r)). All probabilities are logarithms: lengths
// that are e^-1000 unlikely now may be right later.
#include "probes/bocpd.h"

#include "base/check.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

static const double most = 1e100; // its square and a beta of many such are still numbers

void bocpd_start(struct bocpd *b, double expected_run, double mean, double kappa, double alpha,
                 double beta) {
    CHECK(expected_run > 1 && isfinite(mean) && kappa > 0 && alpha > 0 && beta > 0);
    *b = (struct bocpd){
        .mean = mean,
        .kappa = kappa,
        .alpha = alpha,
        .beta = beta,
        .log_change = -log(expected_run),
        .log_stay = log1p(-1 / expected_run),
        .count = 1,
        .runs = {{0, 0, mean, beta}},
    };
}

// ln gamma(a + 1/2) - ln gamma(a)
static double log_gamma_step(double a) {
    if (a < 10) {
        int sign;
        return lgamma_r(a + 0.5, &sign) - lgamma_r(a, &sign);
    }
    double q = 1 / (a * a);
    return log(a) / 2 - (1.0 / 8 - q * (1.0 / 192 - q * (1.0 / 640 - q * 17 / 14336))) / a;
}

static double log_predictive(const struct bocpd *b, const struct bocpd_run *run, double x) {
    double kappa = b->kappa + (double)run->length, alpha = b->alpha + (double)run->length / 2;
    double d = x - run->mean;
    // 2 alpha times the squared scale
    double width = 2 * run->beta * (kappa + 1) / kappa;
    return log_gamma_step(alpha) - log(M_PI * width) / 2 - (alpha + 0.5) * log1p(d * d / width);
}

static void learn(const struct bocpd *b, struct bocpd_run *run, double x) {
    double kappa = b->kappa + (double)run->length, d = x - run->mean;
    run->beta += kappa * d * d / (2 * (kappa + 1));
    run->mean += d / (kappa + 1);
    run->length++;
}

static double log_sum(const struct bocpd *b) {
    double largest = b->runs[0].log_probability;
    for (uint32_t i = 1; i < b->count; i++) {
        largest = fmax(largest, b->runs[i].log_probability);
    }
    double sum = exp(b->runs[0].log_probability - largest);
    for (uint32_t i = 1; i < b->count; i++) {
        sum += exp(b->runs[i].log_probability - largest);
    }
    return largest + log(sum);
}

// Not the newest, however unlikely: without it no change could ever be seen.
static void drop_least_probable(struct bocpd *b) {
    uint32_t least = 1;
    for (uint32_t i = 2; i < b->count; i++) {
        if (b->runs[i].log_probability <= b->runs[least].log_probability) {
            least = i;
        }
    }
    b->count--;
    memmove(&b->runs[least], &b->runs[least + 1], (b->count - least) * sizeof b->runs[0]);
}

static void normalise(struct bocpd *b) {
    double total = log_sum(b);
    for (uint32_t i = 0; i < b->count; i++) {
        b->runs[i].log_probability -= total;
    }
}

double bocpd_add(struct bocpd *b, double x) {
    if (!(fabs(x) <= most)) {
        return num_missing();
    }
    // Every run predicts x; with the chance of a change it ends there, else it grows by one.
    for (uint32_t i = 0; i < b->count; i++) {
        b->runs[i].log_probability += log_predictive(b, &b->runs[i], x);
        learn(b, &b->runs[i], x);
    }
    double evidence = log_sum(b);
    for (uint32_t i = 0; i < b->count; i++) {
        b->runs[i].log_probability += b->log_stay - evidence;
    }
    memmove(&b->runs[1], &b->runs[0], b->count * sizeof b->runs[0]);
    b->runs[0] = (struct bocpd_run){0, b->log_change, b->mean, b->beta};
    b->count++;
    if (b->count > BOCPD_RUNS) {
        drop_least_probable(b);
        normalise(b);
    }
    return evidence;
}

double bocpd_at_most(const struct bocpd *b, uint64_t length) {
    double sum = 0;
    for (uint32_t i = 0; i < b->count && b->runs[i].length <= length; i++) {
        sum += exp(b->runs[i].log_probability);
    }
    return fmin(sum, 1);
}

double bocpd_exactly(const struct bocpd *b, uint64_t length) {
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->runs[i].length == length) {
            return exp(b->runs[i].log_probability);
        }
    }
    return 0;
}

uint64_t bocpd_most_probable(const struct bocpd *b) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < b->count; i++) {
        if (b->runs[i].log_probability > b->runs[best].log_probability) {
            best = i;
        }
    }
    return b->runs[best].length;
}

static bool is_usable_run(const struct bocpd *b, uint32_t i) {
    const struct bocpd_run *run = &b->runs[i];
    bool in_order = i == 0 || run->length > b->runs[i - 1].length;
    return in_order && run->log_probability <= 1e-6 && isfinite(run->log_probability) &&
           isfinite(run->mean) && run->beta > 0 && isfinite(run->beta);
}

static bool is_above_zero(double x) {
    return x > 0 && isfinite(x);
}

bool bocpd_is_valid(const struct bocpd *b) {
    bool prior = isfinite(b->mean) && is_above_zero(b->kappa) && is_above_zero(b->alpha) &&
                 is_above_zero(b->beta) && is_above_zero(-b->log_change) &&
                 is_above_zero(-b->log_stay);
    if (!prior || b->count < 1 || b->count > BOCPD_RUNS) {
        return false;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        if (!is_usable_run(b, i)) {
            return false;
        }
    }
    return true;
}
