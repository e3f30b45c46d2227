// Weights that shrink in unison: decay has taken over from learning. One layer's weights may fall
// for its own reasons, so only what most layers do counts: decay takes the same share of each.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

#define DWINDLE_FLOOR (1. / 600) // of the weights' size, in 64 steps
#define DWINDLE_USUAL 0.25       // of what the run usually loses
#define DWINDLE_SCATTER 2.       // of a step's; chance makes 8 of 64

static double dwindling(const struct scope *s, const struct watch *w) {
    const struct dwindling *d = &s->dwindling;
    if (!(d->lost > 0)) {
        return 0;
    }
    const struct pace *p = &w->pace;
    double share = p->highest > 0 && p->lr < p->highest ? p->lr / p->highest : 1;
    double scatter = s->growth.spread * share; // it is kept as at the highest learning rate
    double usual = fmax(DWINDLE_USUAL * d->usual * w->lr_sum, DWINDLE_SCATTER * scatter);
    return d->lost / fmax(DWINDLE_FLOOR, usual);
}

void quenching_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    const struct scope *s = look->scope;
    // From one step to the next, beyond rounding; or little by little.
    double sudden = s->shrinks ? -s->growth.z : 0;
    double z = fmax(sudden, dwindling(s, &look->a->watch));
    *f = (struct finding){.fire = look->warmed_up && z > r->fire_above,
                          .clear = z < r->clear_below,
                          .severity = r->severity,
                          .value = z,
                          .threshold = r->fire_above};
}

void quenching_describe(struct text *t, const struct life *l, const struct story *story) {
    text_add_subject(t, story->layer);
    text_add(t,
             " quenches: the weights of %" PRIu32 " of %" PRIu32 " layers shrink, %.3g times "
             "beyond what is usual here, since step %" PRId64
             " (weight decay too strong, or applied twice)",
             story->crowd->hot, story->crowd->layers, l->value, l->since);
}
