#include "probes/coherence.h"

#include "base/num.h"
#include "probes/instrument.h"

#include <math.h>

#define LEARN_STEPS 512     // of the window, from which on the average's distance from it tells
#define LEARNT_MIN 16       // distances
#define LEARNT_CORRELATED 3 // that many, taken every 32 steps, count for one

enum filter coherence_filter(const struct run *run) {
    switch ((enum optimizer)run->optimizer) {
    case OPTIMIZER_SGD:
        if (run->momentum > 0 && run->momentum < 1) {
            return run->nesterov ? FILTER_NESTEROV : FILTER_HEAVY_BALL;
        }
        return fabs(run->momentum) > 0 || isnan(run->momentum) ? FILTER_UNKNOWN : FILTER_NONE;
    case OPTIMIZER_ADAM:
    case OPTIMIZER_ADAMW:
        return run->beta1 > 0 && run->beta1 < 1 ? FILTER_ADAM : FILTER_UNKNOWN;
    case OPTIMIZER_OTHER:
    default:
        return FILTER_UNKNOWN;
    }
}

double coherence_memory(const struct run *run) {
    return run->optimizer == OPTIMIZER_SGD ? run->momentum : run->beta1;
}

// dw = a - eta lam w, so |a|^2 = |dw|^2 + 2 eta lam w.dw + (eta lam)^2 |w|^2. The inner product
// comes from the weights a step later, 2 w.dw = |w'|^2 - |w|^2 - |dw|^2: its rounding error is
// harmless because it is multiplied by eta lam. So this measures the step before the newest.
static double undecayed_update2(const struct body *b, const struct run *run,
                                const struct sample *s) {
    double decay = run->eta_prev * run->weight_decay;
    double climb = (s->weight2 - b->weight2) / run->dt - b->update2;
    return b->update2 + decay * climb + decay * decay * b->weight2;
}

static void measure_adam(const struct body *b, const struct run *run, const struct sample *s,
                         double *num, double *den) {
    if (run->optimizer == OPTIMIZER_ADAMW && run->weight_decay > 0) {
        *num = run->eta_prev * run->eta_prev;
        *den = undecayed_update2(b, run, s);
    } else {
        *num = run->eta * run->eta;
        *den = s->update2;
    }
}

void coherence_measure(const struct body *b, const struct run *run, double n,
                       const struct sample *s, double *num, double *den) {
    *num = *den = num_missing();
    switch (coherence_filter(run)) {
    case FILTER_NONE:
        if (run->dt <= 1 && run->eta_prev > 0) { // a neighbour's update, or it says nothing
            *num = s->gu_prev / (run->eta_prev * n);
            *den = s->gradient2;
        }
        break;
    case FILTER_HEAVY_BALL:
    case FILTER_NESTEROV:
        *num = run->eta * run->eta * s->gradient2;
        *den = s->update2;
        break;
    case FILTER_ADAM:
        measure_adam(b, run, s, num, den);
        break;
    case FILTER_UNKNOWN:
    default:
        break;
    }
    // Without a learning rate, and for Adam without a gradient, the update tells nothing.
    bool adam = coherence_filter(run) == FILTER_ADAM;
    bool at_rest = adam ? !(*num > 0) || s->gradient2 <= 0 : !(run->eta > 0);
    if (isnan(*num) || isnan(*den) || *den < 0 || at_rest) {
        *num = *den = num_missing();
    }
}

static const char *why_no_ratio(const struct body *b, const struct run *run) {
    static const unsigned none[] = {STAT_GU_PREV, NEED_LR, STAT_G_VAR, STAT_G_MEAN, NEED_NEIGHBOUR};
    static const unsigned ball[] = {STAT_U_VAR, STAT_U_MEAN, STAT_G_VAR, STAT_G_MEAN, NEED_LR};
    static const unsigned adam[] = {STAT_U_VAR, STAT_U_MEAN, NEED_LR, STAT_W_VAR, STAT_W_MEAN};
    bool decayed = run->optimizer == OPTIMIZER_ADAMW && run->weight_decay > 0;
    switch (coherence_filter(run)) {
    case FILTER_NONE:
        return sample_missing(b->seen, none, 5);
    case FILTER_HEAVY_BALL:
    case FILTER_NESTEROV:
        return sample_missing(b->seen, ball, 5);
    case FILTER_ADAM:
        return sample_missing(b->seen, adam, decayed ? 5 : 3);
    case FILTER_UNKNOWN:
    default:
        return run->optimizer == OPTIMIZER_OTHER ? "needs an optimizer named sgd, adam or adamw"
                                                 : "needs a momentum or beta1 between 0 and 1";
    }
}

// The ratio's distance from the window's: of logarithms for R, which is positive.
static double distance(double ratio, double window, bool positive) {
    return positive ? log(ratio / window) : ratio - window;
}

static bool is_positive(const struct run *run) {
    return coherence_filter(run) != FILTER_NONE;
}

void coherence_learn(struct body *b, const struct run *run, bool anew) {
    double window;
    bool known = ledger_ratio(&b->ledger, COLUMN_LAG_NUM, COLUMN_LAG_DEN, &window);
    if (anew) {
        b->lag_scatter = 0;
        b->lag_judged = 0;
    }
    if (!known || !(b->lag.den > 0) || ledger_steps(&b->ledger) < LEARN_STEPS) {
        return;
    }
    double ratio = b->lag.num / b->lag.den;
    bool positive = is_positive(run);
    if (!isfinite(ratio) || (positive && (!(ratio > 0) || !(window > 0)))) {
        return;
    }
    double d = distance(ratio, window, positive);
    b->lag_judged = (uint8_t)(b->lag_judged + (b->lag_judged < UINT8_MAX));
    b->lag_scatter += (d * d - b->lag_scatter) / b->lag_judged;
}

// Standard error and degrees of freedom. Once known, the scatter around the window and the window's
// own error; before, the window's over its W steps, widened as if steps were independent.
static double error_of(const struct body *b, double window, struct spread spread, bool positive,
                       unsigned *freedom) {
    double own = positive ? spread.error / window : spread.error;
    *freedom = spread.groups - 1;
    if (b->lag_judged < LEARNT_MIN) {
        double steps = ledger_steps(&b->ledger);
        return own * sqrt(fmax(1, steps / ewma_window(EWMA_ALPHA)));
    }
    *freedom = b->lag_judged / LEARNT_CORRELATED;
    return sqrt(b->lag_scatter + own * own);
}

static void add_interval(const struct body *b, bool positive, struct lag_ratio *r) {
    struct spread spread = ledger_spread(&b->ledger, COLUMN_LAG_NUM, COLUMN_LAG_DEN);
    double window;
    unsigned freedom;
    if (spread.groups < LEDGER_GROUPS_MIN ||
        !ledger_ratio(&b->ledger, COLUMN_LAG_NUM, COLUMN_LAG_DEN, &window)) {
        r->no_interval = NO_INTERVAL_BLOCKS;
        return;
    }
    bool factors = positive && r->value > 0 && window > 0;
    double error = error_of(b, window, spread, factors, &freedom);
    double half = student_t975(freedom) * error;
    if (factors) {
        double factor = exp(fmin(half, 100));
        r->low = r->value / factor;
        r->high = r->value * factor;
    } else {
        r->low = r->value - half;
        r->high = r->value + half;
    }
    if (!isfinite(r->low) || !isfinite(r->high) || (factors && !(r->low > 0))) {
        r->no_interval = NO_INTERVAL_UNBOUNDED;
    }
}

struct lag_ratio coherence_ratio(const struct body *b, const struct run *run, bool interval) {
    struct lag_ratio r = {0};
    if (body_is_frozen(b)) {
        r.reason = REASON_FROZEN;
    } else if (body_is_dead(b)) {
        r.reason = REASON_DEAD;
    } else if (!ewma_pair_started(&b->lag)) {
        r.reason = why_no_ratio(b, run);
    } else if (!(b->lag.den > 0)) {
        r.reason = "undefined: no update so far";
    } else {
        r.value = b->lag.num / b->lag.den;
        if (!isfinite(r.value)) {
            r.reason = "undefined: the updates are too small to divide by";
        } else if (interval) {
            add_interval(b, is_positive(run), &r);
        }
    }
    return r;
}

double coherence_stability(double ratio, double mu) {
    return (ratio - (1 - mu * mu)) / mu / (2 * (1 + mu));
}

// From the ratio R to coherence: the larger the one, the smaller the other.
static double from_ratio(double ratio, enum filter filter, double mu) {
    switch (filter) {
    case FILTER_NONE:
        return -ratio;
    case FILTER_ADAM:
        return 1 / ratio;
    case FILTER_HEAVY_BALL:
    case FILTER_NESTEROV:
    case FILTER_UNKNOWN:
    default:
        return (1 - mu) * (1 - mu) / ratio;
    }
}

void coherence_read(const struct view *v, struct reading *r) {
    struct lag_ratio ratio = coherence_ratio(v->body, v->run, v->interval);
    enum filter filter = coherence_filter(v->run);
    double mu = coherence_memory(v->run);
    if (ratio.reason) {
        reading_none(r, ratio.reason);
        return;
    }
    if (filter != FILTER_NONE && !(ratio.value > 0)) {
        reading_none(r, "undefined: no gradient so far");
        return;
    }
    double value = from_ratio(ratio.value, filter, mu);
    if (!isfinite(value)) {
        reading_none(r, "undefined: the gradients are too small to divide by");
        return;
    }
    reading_value(r, value);
    r->no_interval = ratio.no_interval;
    if (v->interval && !ratio.no_interval) {
        double low = from_ratio(ratio.high, filter, mu), high = from_ratio(ratio.low, filter, mu);
        if (isfinite(high)) {
            reading_interval(r, low, high);
        } else {
            r->no_interval = NO_INTERVAL_UNBOUNDED;
        }
    }
}
