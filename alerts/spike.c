// Sudden rises of the loss, of loss and gradient together, and of the level of the loss.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define TREND_ALPHA 0.01       // half-life of about 70 steps
#define HOLD_MAX 500           // values kept out in a row until they are the new normal
#define BOTH_ABOVE (6. / 8)    // of the rule's threshold, where loss and gradient rise together
#define ALONE 1.5              // times the threshold that a single loss must reach
#define RECOVERY_STEPS 100     // after which a spike is a change of level
#define GRADIENT_FLOOR 1e-300  // keeps the logarithm finite
#define LOSS_FLOOR 1e-7        // what a float32 loss near zero is made of: less is no smaller
#define BEYOND_LARGEST 1.5     // times as far as the largest so far is news whatever the tail
#define BEYOND_FEW 2.5         // the same while the tail is unknown: (1e5 / 200)^0.15
#define TAIL_SHARE 1e-5        // of the run's own losses may lie beyond the threshold
#define STAIR_FLOOR 0.02       // of the loss's noise
#define FORGET (1 - 1. / 2048) // of the highest lone loss, a step

double detrended_score(const struct detrended *d, double x) {
    return robust_z_is_full(&d->window) ? robust_z_score(&d->window, x - d->trend) : 0;
}

void detrended_add(struct detrended *d, double x, bool hold) {
    if (hold && ++d->held < HOLD_MAX) {
        return;
    }
    if (hold || d->count == 0) {
        *d = (struct detrended){.trend = x};
    }
    d->held = 0;
    d->count += d->count < UINT32_MAX;
    double off = x - d->trend;
    robust_z_add_winsorised(&d->window, off);
    if (robust_z_is_full(&d->window)) {
        double reach = 4 * (double)d->window.sigma, middle = (double)d->window.median;
        off = fmin(fmax(off, middle - reach), middle + reach);
    }
    d->trend += fmax(TREND_ALPHA, 1. / d->count) * off;
}

// Up to a constant factor the gradient's mean square over all layers, each counting alike.
static double log_gradient(const struct thermo_step *step, size_t n_layers) {
    const double *mean = step->stat[STAT_G_MEAN], *var = step->stat[STAT_G_VAR];
    double sum = 0;
    for (size_t i = 0; mean && var && i < n_layers; i++) {
        double square = mean[i] * mean[i] + var[i];
        sum += square > 0 ? square : 0;
    }
    return sum > 0 && sum < HUGE_VAL ? log(sum + GRADIENT_FLOOR) / 2 : num_missing();
}

static double loss_scale(struct watch *w, double loss) {
    if (loss < 0 && !w->signed_loss) {
        w->signed_loss = true;
        memset(&w->loss, 0, sizeof w->loss);
        memset(&w->tail, 0, sizeof w->tail);
    }
    double limited = fmin(fmax(loss, -1e30), 1e30);
    return w->signed_loss ? limited : log(fmax(loss, LOSS_FLOOR));
}

// A run that has learnt nearly everything by heart still meets what it has not: now and then a loss
// a hundred times the usual. Only what lies beyond the run's own tail is news. Distances are from
// the middle: the trend lags behind a loss that falls steeply.
static bool is_beyond_tail(const struct watch *w, double off) {
    bool known = spot_is_known(&w->tail);
    double middle = (double)w->loss.window.median;
    double largest = spot_largest(&w->tail) - middle;
    double bound = middle + (known ? BEYOND_LARGEST : BEYOND_FEW) * largest;
    if (known) {
        bound = fmin(bound, spot_threshold(&w->tail, TAIL_SHARE));
    }
    return off > bound;
}

// Where all but a few samples are learnt, losses fall and fall while those that a single sample
// makes stay as high as they were: further and further off, and no news.
static bool is_higher(const struct watch *w, double loss) {
    return w->signed_loss || loss > BEYOND_LARGEST * w->highest_lone;
}

// What may be a spike's first step is learnt once the next step has shown that it stood alone.
static void learn_tail(struct watch *w, double loss, double off, bool is_high, bool is_spike) {
    if (!robust_z_is_full(&w->loss.window)) {
        return;
    }
    w->highest_lone *= FORGET;
    if (w->has_lone && !is_spike) {
        spot_add(&w->tail, w->lone);
        w->highest_lone = fmax(w->highest_lone, w->lone_loss);
    }
    w->has_lone = is_high && !is_spike;
    w->lone = off;
    w->lone_loss = loss;
    if (!is_high && !is_spike) {
        spot_add(&w->tail, off);
    }
}

// The z of the gradient, which is then learnt; 0 where no layer sends one.
static double gradient_score(const struct look *look, bool open) {
    struct watch *w = &look->a->watch;
    double y = log_gradient(look->in->step, look->a->n_layers);
    if (isnan(y)) {
        return 0;
    }
    double z = detrended_score(&w->gradient, y);
    detrended_add(&w->gradient, y, open || z > look->rule->fire_above);
    return z;
}

// A loss that steps up and stays, by less than its scatter about a trend that falls.
static void look_for_step(const struct look *look, double x, struct finding *f) {
    struct watch *w = &look->a->watch;
    if (w->signed_loss || w->pace.restarts) { // what a warm restart does is the schedule's doing
        memset(&w->stair, 0, sizeof w->stair);
        return;
    }
    double both = look->rule->fire_above * BOTH_ABOVE, z = stair_add(&w->stair, x, STAIR_FLOOR);
    if (look->warmed_up && !f->fire && z > both) {
        f->fire = true;
        f->clear = false;
        f->value = z;
        f->threshold = both;
    }
}

// Losses of small batches have heavy tails: one alone must be further off than two in a row.
static bool is_high(const struct look *look, const struct finding *f) {
    double fire_above = look->rule->fire_above;
    bool again = look->a->watch.loss_z > fire_above / 2;
    return f->value > f->threshold && (again || f->value > ALONE * fire_above);
}

void spike_look(const struct look *look, struct finding *f) {
    struct watch *w = &look->a->watch;
    const struct rule *rule = look->rule;
    const struct thermo_step *step = look->in->step;
    *f = (struct finding){
        .clear = true, .severity = severity_here(look), .threshold = rule->fire_above};
    bool open = life_is_firing(&w->lives[RULE_LOSS_SPIKE]);
    double z_gradient = gradient_score(look, open);
    if (num_is_missing(step->loss)) {
        f->clear = false;
        return;
    }
    double x = loss_scale(w, step->loss);
    f->value = detrended_score(&w->loss, x);
    double both = rule->fire_above * BOTH_ABOVE;
    bool together = f->value > both && z_gradient > both;
    if (together && !(f->value > rule->fire_above)) {
        f->threshold = both;
    }
    double off = x - w->loss.trend;
    f->fire =
        look->warmed_up && is_high(look, f) && is_beyond_tail(w, off) && is_higher(w, step->loss);
    w->loss_z = f->value;
    f->clear = f->value < rule->clear_below;
    learn_tail(w, step->loss, off, f->value > f->threshold, open || f->fire);
    detrended_add(&w->loss, x, f->value > f->threshold || (open && !f->clear));
    w->spike_steps = open ? w->spike_steps + 1 : 0;
    if (w->spike_steps >= RECOVERY_STEPS && !f->clear) {
        f->severity = SEVERITY_CRITICAL;
    }
    look_for_step(look, x, f);
}

void spike_describe(struct text *t, const struct life *l, const struct story *story) {
    uint32_t steps = story->a->watch.spike_steps;
    if (steps > 0 && l->severity == SEVERITY_CRITICAL) {
        text_add(t,
                 "the loss jumped at step %" PRId64 " and has not come back in %" PRIu32
                 " steps: its level has changed",
                 l->since, steps);
        return;
    }
    if (l->value == story->a->watch.stair.z) {
        text_add(t,
                 "the loss stepped up shortly before step %" PRId64
                 ": its last %d values lie %.3g times their noise above those before, over %.3g",
                 l->since, STAIR_TREAD, l->value, l->threshold);
        return;
    }
    text_add(t,
             "the loss jumped at step %" PRId64
             ": it lies %.3g times its usual scatter above its trend, over %.3g",
             l->since, l->value, l->threshold);
    if (story->a->watch.gradient.held > 0) {
        text_add(t, "; the gradient jumped with it");
    }
}
