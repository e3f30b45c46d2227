// Weights that shrink in unison: decay has taken over from learning. One layer's weights may fall
// for its own reasons, so only what most layers do counts.
#include "alerts/state.h"

#include <inttypes.h>

void quenching_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    double z = -look->scope->growth.z;
    *f = (struct finding){.clear = z < r->clear_below,
                          .severity = r->severity,
                          .value = z,
                          .threshold = r->fire_above};
    f->fire = look->warmed_up && z > r->fire_above && look->scope->shrinks;
}

void quenching_describe(struct text *t, const struct life *l, const struct story *story) {
    text_add_subject(t, story->layer);
    text_add(t,
             " quenches: the weights of %" PRIu32 " of %" PRIu32 " layers shrink, %.3g times their "
             "usual scatter faster than before, since step %" PRId64
             " (weight decay too strong, or applied twice)",
             story->crowd->hot, story->crowd->layers, l->value, l->since);
}
