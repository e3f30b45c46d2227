// Weights that something other than the optimizer changed: books.h tells how that is known.
#include "alerts/state.h"

#include <inttypes.h>

void unaccounted_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    double value = look->scope->unaccounted;
    *f = (struct finding){.fire = look->warmed_up && value > r->fire_above,
                          .clear = value < r->clear_below,
                          .severity = r->severity,
                          .value = value,
                          .threshold = r->fire_above};
}

void unaccounted_describe(struct text *t, const struct life *l, const struct story *story) {
    text_add_subject(t, story->layer);
    text_add(t, ": its weights were changed by something other than the optimizer at step %" PRId64,
             l->since);
    if (story->scope) {
        text_add(t,
                 ": by %.2g of their size more than the update, %.3g times the largest remainder "
                 "before (corrupted memory, a bad copy, or code that writes to them)",
                 story->scope->books.remainder, l->value);
    } else {
        text_add(t,
                 ", in %" PRIu32 " of %" PRIu32 " layers (a loaded checkpoint, or code that "
                 "writes to them)",
                 story->crowd->hot, story->crowd->layers);
    }
}
