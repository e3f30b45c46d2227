// SageMaker Debugger's rules about the whole run: whether it began well, gets on and generalises.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>

#define BLOCK 1000     // steps
#define AVERAGE 0.02   // of the training loss
#define START_STEPS 10 // after which the loss should have begun to fall
#define START_END 64   // steps of a run that say something about its beginning

void loss_not_decreasing_look(const struct look *look, struct finding *f) {
    struct progress *p = &look->a->watch.progress;
    const struct rule *r = look->rule;
    double loss = look->in->step->loss;
    *f = (struct finding){.unknown = true};
    if (!isfinite(loss)) {
        return;
    }
    p->sum += loss;
    if (++p->filled < BLOCK) {
        return;
    }
    double mean = p->sum / p->filled, size = fabs(p->last);
    if (p->blocks > 0 && size > 0) {
        *f = (struct finding){.severity = r->severity};
        bounds_judge(look, 100 * (mean - p->last) / size, f);
    }
    p->last = mean;
    p->blocks += p->blocks < UINT32_MAX;
    p->sum = 0;
    p->filled = 0;
}

void loss_not_decreasing_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t, "the loss averaged over the last %d steps lies %.3g%% above that of the %d before",
             BLOCK, l->value, BLOCK);
}

void overfit_look(const struct look *look, struct finding *f) {
    struct progress *p = &look->a->watch.progress;
    double loss = look->in->step->loss, val = look->in->val_loss;
    if (isfinite(loss)) {
        p->train = p->train > 0 ? p->train + AVERAGE * (loss - p->train) : loss;
    }
    *f = (struct finding){.severity = look->rule->severity};
    f->unknown = !isfinite(val) || !(p->train > 0);
    if (!f->unknown) {
        bounds_judge(look, (val - p->train) / p->train, f);
    }
}

void overfit_describe(struct text *t, const struct life *l, const struct story *story) {
    text_add(t, "the validation loss lies %.3g%% above the training loss's average %.3g",
             100 * l->value, story->a->watch.progress.train);
}

// The largest variance of a layer's weights over the smallest.
static double spread_of_weights(const struct look *look) {
    const double *var = look->in->step->stat[STAT_W_VAR];
    double least = (double)INFINITY, most = 0;
    for (size_t i = 0; var && i < look->a->n_layers; i++) {
        if (var[i] > 0) {
            least = fmin(least, var[i]);
            most = fmax(most, var[i]);
        }
    }
    return most > 0 ? most / least : 0;
}

void poor_weight_initialization_look(const struct look *look, struct finding *f) {
    struct progress *p = &look->a->watch.progress;
    const struct rule *r = look->rule;
    uint64_t seen = look->a->watch.seen;
    double loss = look->in->step->loss;
    if (seen == 1 && look->in->step->step <= 1) { // else the run did not begin here
        p->first = loss;
        p->variances = spread_of_weights(look);
    }
    bool fell = !(loss >= p->first);
    *f = (struct finding){.severity = r->severity, .value = p->variances};
    f->threshold = r->fire_above;
    f->fire = seen > START_STEPS && seen <= START_END && p->variances > r->fire_above && !fell;
    f->clear = fell || seen > START_END;
}

void poor_weight_initialization_describe(struct text *t, const struct life *l,
                                         const struct story *story) {
    text_add(t,
             "the loss has not fallen below its first value %.3g, and the layers' weights began "
             "with variances that differ by a factor of %.3g, over %.3g",
             story->a->watch.progress.first, l->value, l->threshold);
}
