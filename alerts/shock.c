// A scale of a layer that jumps from one step to the next: its gradient, its update, its outputs.
//
// Gradients have heavy tails of their own, so that theirs counts half (measured on healthy runs:
// docs/alerting.md). Those tails come of the batch and are every layer's: where one alone jumps,
// its lead counts twice. Outputs have no tail downwards: no batch makes those of all its samples
// small, so that two steps' falls are added. Where gradients or updates fall nothing is the matter.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

#define GRADIENT_WEIGHT 0.5
#define FRESH 3 // steps

// A jump is what has just begun: what stays is another level.
static double score(const struct scope *s, enum channel c) {
    if (s->jumps[c].held > FRESH) {
        return 0;
    }
    double z = s->jumps[c].z;
    if (c == CHANNEL_OUTPUT) {
        return fmax(z, fmax(-z, 0) + (double)s->fell);
    }
    return c == CHANNEL_GRADIENT ? fmax(GRADIENT_WEIGHT * z, (double)s->alone) : z;
}

static enum channel largest(const struct scope *s) {
    enum channel best = CHANNEL_GRADIENT;
    for (enum channel c = CHANNEL_UPDATE; c < CHANNELS; c++) {
        best = score(s, c) > score(s, best) ? c : best;
    }
    return best;
}

// What jumps together supports one another.
static double all_scores(const struct scope *s) {
    double sum = 0;
    for (enum channel c = CHANNEL_GRADIENT; c < CHANNELS; c++) {
        double z = fmax(score(s, c), 0);
        sum += z * z;
    }
    return sqrt(sum);
}

// By how much a scale's logarithm rose.
static double rise(const struct scope *s, enum channel c) {
    return s->jumps[c].z * fmax(s->jumps[c].spread, JUMPS_FLOOR);
}

// Gradients come of the loss, and updates of gradients: an update that rises by far more than the
// gradient has another cause, and so have outputs, and a gradient that jumps alone. By far: where a
// unit comes alive Adam's update rises by itself, from what is usual up to (1 - b1) / sqrt(1 - b2)
// = 3 learning rates, tenfold.
static bool comes_of_the_loss(const struct scope *s, double threshold) {
    return !(score(s, CHANNEL_OUTPUT) > threshold) && !((double)s->alone > threshold) &&
           !(score(s, CHANNEL_UPDATE) > threshold &&
             rise(s, CHANNEL_UPDATE) > rise(s, CHANNEL_GRADIENT) + JUMPS_FAR);
}

void shock_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    if (look->a->watch.batch_steps > 0) {
        *f = (struct finding){.unknown = true};
        return;
    }
    double z = all_scores(look->scope);
    *f = (struct finding){.clear = z < r->clear_below,
                          .severity = r->severity,
                          .value = z,
                          .threshold = r->fire_above};
    f->fire = look->warmed_up && z > r->fire_above;
    if (comes_of_the_loss(look->scope, r->fire_above)) {
        f->severity = severity_here(look);
    }
}

void shock_describe(struct text *t, const struct life *l, const struct story *story) {
    static const char *const names[CHANNELS] = {"gradient", "update", "outputs"};
    text_add_subject(t, story->layer);
    if (story->scope) {
        enum channel c = largest(story->scope);
        double z = story->scope->jumps[c].z;
        text_add(t, ": its %s %s at step %" PRId64 ", %.3g times the usual scatter %s its level",
                 names[c], z < 0 ? "fell" : "jumped", l->since, fabs(z), z < 0 ? "below" : "above");
        if (c == CHANNEL_GRADIENT && (double)story->scope->alone > l->threshold) {
            text_add(t, ", beyond those of all other layers");
        }
    } else {
        text_add(t,
                 ": scales jumped in %" PRIu32 " of %" PRIu32 " layers at step %" PRId64
                 ", by %.3g times their usual scatter on average",
                 story->crowd->hot, story->crowd->layers, l->since, l->value);
    }
}
