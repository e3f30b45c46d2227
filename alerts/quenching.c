// Weights that shrink in unison: decay has taken over from learning. One layer's weights may fall
// for its own reasons, so only what most layers do counts: decay takes the same share of each.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

// From one step to the next, beyond rounding; or little by little.
static double shrinking(const struct scope *s) {
    return fmax(s->shrinks ? -s->growth.z : 0, s->dwindling.z);
}

void quenching_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    double z = shrinking(look->scope);
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
