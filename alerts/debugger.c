// SageMaker Debugger's rules about layers, with its names and thresholds [S: field notes of its
// rule list], as far as streamed statistics can tell. They inform: the rules that judge a run by
// its own healthy level are the ones that warn.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>

#define MEAN_OF_NORMAL 0.7978845608 // mean |x| of a normal in units of its standard deviation
#define EPSILON 1e-9
#define LR_SHARE 0.01 // of the highest: below, a schedule wants small updates

static double column(const struct look *look, enum statistic s) {
    const double *values = look->in->step->stat[s];
    return values ? values[look->layer] : num_missing();
}

static const struct sizes *sizes(const struct look *look) {
    return &look->a->sizes[look->layer];
}

// What was not sent leaves an alert as it is.
static void judge(const struct look *look, double x, struct finding *f) {
    *f = (struct finding){.severity = look->rule->severity, .unknown = isnan(x)};
    if (!f->unknown) {
        bounds_judge(look, x, f);
    }
}

void vanishing_gradient_look(const struct look *look, struct finding *f) {
    double g = MEAN_OF_NORMAL * sqrt(sizes(look)->gradient2);
    judge(look, g > 0 ? g : num_missing(), f); // exactly none: see freezing
}

void dead_relu_look(const struct look *look, struct finding *f) {
    judge(look, column(look, STAT_A_ACTIVE), f);
}

void saturated_activation_look(const struct look *look, struct finding *f) {
    judge(look, column(look, STAT_A_SATURATED), f);
}

static double update_ratio(const struct look *look) {
    const struct pace *p = &look->a->watch.pace;
    if (!(p->lr > LR_SHARE * p->highest) || look->scope->still.moving == 0) {
        return num_missing();
    }
    return sizes(look)->update_rms / (look->scope->weight_rms + EPSILON);
}

void weight_update_ratio_look(const struct look *look, struct finding *f) {
    double ratio = update_ratio(look);
    judge(look, ratio > 0 ? ratio : num_missing(), f); // exactly none: see unchanged_tensor
}

void unchanged_tensor_look(const struct look *look, struct finding *f) {
    judge(look, update_ratio(look), f);
}

static void describe(struct text *t, const struct life *l, const struct story *story,
                     const char *what) {
    text_add_subject(t, story->layer);
    if (story->scope) {
        text_add(t, ": %s is %.3g", what, l->value);
    } else {
        text_add(t, ": in %" PRIu32 " of %" PRIu32 " layers %s is %.3g on average",
                 story->crowd->hot, story->crowd->layers, what, l->value);
    }
    text_add(t, ", %s %.3g for %" PRIu32 " step%s", l->value < l->threshold ? "under" : "over",
             l->threshold, l->held, text_plural(l->held));
}

void vanishing_gradient_describe(struct text *t, const struct life *l, const struct story *story) {
    describe(t, l, story, "the mean absolute gradient");
}

void dead_relu_describe(struct text *t, const struct life *l, const struct story *story) {
    describe(t, l, story, "the share of active units");
}

void saturated_activation_describe(struct text *t, const struct life *l,
                                   const struct story *story) {
    describe(t, l, story, "the share of saturated units");
}

void weight_update_ratio_describe(struct text *t, const struct life *l, const struct story *story) {
    describe(t, l, story, "the size of the updates beside the weights");
}

void unchanged_tensor_describe(struct text *t, const struct life *l, const struct story *story) {
    describe(t, l, story, "the size of the updates beside the weights");
}

void exploding_tensor_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t, "something was NaN or infinite at step %" PRId64 "; loss_nonfinite says where",
             l->since);
}
