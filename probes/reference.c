#include "probes/reference.h"

#include "base/num.h"
#include "probes/entropy.h"

#include <math.h>

static const double largest_number = 1e100;

const char *reference_loss_name(enum reference_loss loss) {
    static const char *const names[] = {"mse", "mae", "cross_entropy"};
    return names[loss];
}

const char *reference_entropy_name(enum reference_entropy entropy) {
    static const char *const names[] = {"sampling", "quantum", "layer"};
    return names[entropy];
}

const char *reference_entropy_words(enum reference_entropy entropy) {
    static const char *const words[] = {
        "S_II is the entropy of the estimate's distribution when the data are drawn again",
        "a trained point is one cell of side epsilon: S_II = 0, S_I counts cells",
        "both entropies are a normal distribution's with the variance of the weights",
    };
    return words[entropy];
}

static struct reference_figure figure(double value, const char *unit, const char *source) {
    return (struct reference_figure){value, NULL, unit, source};
}

static struct reference_figure none(const char *reason, const char *unit, const char *source) {
    return (struct reference_figure){num_missing(), reason, unit, source};
}

static const char loss_unit[] = "loss", nat[] = "nat", loss_per_nat[] = "loss/nat";

// --- energy ---

static const char *source_of_initial_energy(enum reference_loss loss) {
    static const char *const sources[] = {
        "[D] mean of (y - x.m)^2 + sum x_j^2 v_j over the initialisation's means m and variances v",
        "[D] mean of |y - x.w| over the initialisation: folded normal, else by characteristic "
        "function",
        "[D] mean of ln(1 + e^z) - y z, z = x.w, over the initialisation, by characteristic "
        "function",
    };
    return sources[loss];
}

static bool fit_state_two(const struct reference_problem *p, struct reference_result *out,
                          struct linear_error *error) {
    static const char *const sources[] = {
        "the least mean square residual (least squares by QR)",
        "the least mean absolute residual (simplex method, exact)",
        "the least mean cross-entropy (logistic regression by Newton's method)",
    };
    bool ok = false;
    switch (p->loss) {
    case REFERENCE_MSE:
        ok = linear_least_squares(&p->data, &out->fit, error);
        break;
    case REFERENCE_MAE:
        ok = linear_least_deviations(&p->data, &out->fit, error);
        break;
    case REFERENCE_CROSS_ENTROPY:
        ok = linear_logistic(&p->data, &out->fit, error);
        break;
    }
    if (ok) {
        out->energy[1] = figure(out->fit.loss, loss_unit, sources[p->loss]);
        if (out->fit.separated) {
            out->note =
                "the classes can be separated: E_II = 0 is reached at infinite weights only";
        } else if (out->fit.unbounded) {
            out->note =
                "the classes can be separated in part: E_II is a limit, reached at infinite "
                "weights only";
        }
    }
    return ok;
}

// --- entropy, one pair of functions a convention ---

static void initial_entropy(const struct reference_problem *p, struct reference_result *out) {
    static const char source[] = "[D] differential entropy of the initialisation";
    double entropy;
    const char *reason;
    bool ok = reference_init_entropy(&p->init, (double)p->data.columns, &entropy, &reason);
    out->entropy[0] = ok ? figure(entropy, nat, source) : none(reason, nat, source);
}

static void sampling(const struct reference_problem *p, struct reference_result *out) {
    static const char linear[] = "[D] N(b, s^2 (X'X)^-1): d/2 ln(2 pi e s^2) - 1/2 ln det X'X, "
                                 "s^2 = RSS/(N - d)";
    static const char logistic[] = "[D] normal with the inverse Fisher information X'WX: "
                                   "d/2 ln(2 pi e) - 1/2 ln det X'WX";
    double n = (double)p->data.rows, d = (double)p->data.columns;
    initial_entropy(p, out);
    const struct linear_fit *fit = &out->fit;
    if (p->loss == REFERENCE_MAE) {
        out->entropy[1] = none("the least deviations estimate has no closed sampling distribution: "
                               "use another convention",
                               nat, "");
    } else if (p->loss == REFERENCE_CROSS_ENTROPY) {
        out->entropy[1] =
            fit->unbounded ? none("the best weights are infinite and have no sampling distribution",
                                  nat, logistic)
                           : figure(entropy_normal(d, 1) - fit->log_det / 2, nat, logistic);
    } else if (!(n > d)) {
        out->entropy[1] = none("needs more rows than parameters", nat, linear);
    } else if (!(fit->loss > 0)) {
        out->entropy[1] = none("the fit is perfect: the estimate does not scatter", nat, linear);
    } else {
        double variance = fit->loss * n / (n - d);
        out->entropy[1] = figure(entropy_normal(d, variance) - fit->log_det / 2, nat, linear);
    }
}

static void quantum(const struct reference_problem *p, struct reference_result *out) {
    initial_entropy(p, out);
    out->entropy[0].source = "[D] differential entropy of the initialisation - d ln epsilon";
    if (!out->entropy[0].reason) {
        out->entropy[0].value -= (double)p->data.columns * log(p->epsilon);
    }
    out->entropy[1] = figure(0, nat, "the convention: one cell");
}

// Variance of all weights together: the mean variance and the scatter of the means.
static double pooled_variance(const double *mean, const double *variance, size_t d) {
    double centre = 0, sum = 0;
    for (size_t j = 0; j < d; j++) {
        centre += mean[j] / (double)d;
    }
    for (size_t j = 0; j < d; j++) {
        sum += variance[j] + (mean[j] - centre) * (mean[j] - centre);
    }
    return sum / (double)d;
}

static void layer(const struct reference_problem *p, struct reference_result *out) {
    static const char before[] = "[D] d/2 ln(2 pi e v), v the initialisation's pooled variance";
    static const char after[] = "[D] d/2 ln(2 pi e v), v the variance of the best weights";
    double mean[LINEAR_COLUMNS_MAX], variance[LINEAR_COLUMNS_MAX];
    double zero[LINEAR_COLUMNS_MAX] = {0};
    size_t d = p->data.columns;
    for (size_t j = 0; j < d; j++) {
        struct reference_init one = reference_init_of(&p->init, j);
        mean[j] = reference_init_mean(&one);
        variance[j] = reference_init_variance(&one);
    }
    double v[2] = {pooled_variance(mean, variance, d),
                   pooled_variance(out->fit.coefficients, zero, d)};
    for (int i = 0; i < 2; i++) {
        const char *source = i == 0 ? before : after;
        out->entropy[i] = v[i] > 0 ? figure(entropy_normal((double)d, v[i]), nat, source)
                                   : none("the weights are all the same", nat, source);
    }
    if (out->fit.unbounded) {
        out->entropy[1] = none("the best weights are infinite", nat, after);
    } else if (d < ENTROPY_SIZE_MIN && !out->note) {
        out->note = "fewer than 8 weights: of a layer this small the daemon reads no entropy";
    }
}

// --- temperature ---

static void temperatures(const struct reference_problem *p, struct reference_result *out) {
    static const char source[] = "[D] (E_I - E_II) / (S_I - S_II)";
    static const char limit[] =
        "[D] 2 (E_I - E_II) / (d ln N), N to infinity: S_I - S_II ~ d/2 ln N";
    double energy = out->energy[0].value - out->energy[1].value;
    double rows = (double)p->data.rows, d = (double)p->data.columns;
    const struct reference_figure *s = out->entropy;
    const char *reason = out->energy[0].reason ? out->energy[0].reason
                         : s[0].reason         ? s[0].reason
                                               : s[1].reason;
    double change = reason ? 0 : s[0].value - s[1].value;
    if (!reason && !(fabs(change) > entropy_resolution(d))) {
        reason = "indeterminate: the entropy is the same before and after";
    }
    out->temperature =
        reason ? none(reason, loss_per_nat, source) : figure(energy / change, loss_per_nat, source);
    reason = p->entropy != REFERENCE_SAMPLING
                 ? "only the sampling convention's entropy depends on the number of rows"
             : out->energy[0].reason ? out->energy[0].reason
                                     : s[1].reason;
    if (!reason && p->data.rows < 2) {
        reason = "needs at least 2 rows";
    }
    out->asymptotic = reason ? none(reason, loss_per_nat, limit)
                             : figure(2 * energy / (d * log(rows)), loss_per_nat, limit);
}

// --- the whole ---

static bool all_usable(const double *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(values[i]) < largest_number)) {
            return false;
        }
    }
    return true;
}

static const char *check_init(const struct reference_problem *p) {
    const char *wrong = reference_init_check(&p->init);
    double total = 0;
    for (size_t i = 0; i < p->init.count && !wrong; i++) {
        total += p->init.parts[i].weight;
    }
    if (!wrong && p->init.mixing == REFERENCE_BLOCKS && p->init.count > 1 &&
        total != (double)p->data.columns) {
        return "the blocks' sizes do not add up to the number of parameters";
    }
    return wrong;
}

static const char *check_data(const struct reference_problem *p) {
    const struct linear_data *data = &p->data;
    if (data->columns < 1 || data->columns > LINEAR_COLUMNS_MAX) {
        return "needs 1 to 64 columns";
    }
    if (data->rows < data->columns) {
        return "needs at least as many rows as there are parameters";
    }
    if (!all_usable(data->x, data->rows * data->columns) || !all_usable(data->y, data->rows)) {
        return "the data hold a number that is not finite or beyond 1e100";
    }
    for (size_t i = 0; i < data->rows && p->loss == REFERENCE_CROSS_ENTROPY; i++) {
        if (data->y[i] < 0 || data->y[i] > 1) {
            return "the target of cross_entropy is not from 0 to 1";
        }
    }
    return NULL;
}

static const char *why_not(const struct reference_problem *p) {
    if (p->entropy == REFERENCE_QUANTUM && !(p->epsilon > 0 && p->epsilon < largest_number)) {
        return "epsilon is not above 0";
    }
    const char *wrong = check_data(p);
    return wrong ? wrong : check_init(p);
}

bool reference_solve(const struct reference_problem *problem, struct reference_result *out,
                     struct linear_error *error) {
    *error = (struct linear_error){why_not(problem), -1};
    *out = (struct reference_result){.note = NULL};
    if (error->text || !fit_state_two(problem, out, error)) {
        return false;
    }
    double energy = reference_initial_energy(problem);
    const char *source = source_of_initial_energy(problem->loss);
    out->energy[0] = isfinite(energy)
                         ? figure(energy, loss_unit, source)
                         : none("the integral over the initialisation does not come to "
                                "an end: its parts' widths differ too much",
                                loss_unit, source);
    switch (problem->entropy) {
    case REFERENCE_SAMPLING:
        sampling(problem, out);
        break;
    case REFERENCE_QUANTUM:
        quantum(problem, out);
        break;
    case REFERENCE_LAYER:
        layer(problem, out);
        break;
    }
    temperatures(problem, out);
    return true;
}
