// A layer that gets no gradient any more while its neighbours do: detached, dead, or switched off.
//
// Exactly zero, for longer than it ever was before: sparse layers (experts without a token) know
// short pauses.
#include "alerts/state.h"

#include <inttypes.h>

#define MOVING_STEPS 64 // with a gradient before standing still says anything
#define LONGER 3        // times the longest pause so far

void freezing_look(const struct look *look, struct finding *f) {
    const struct stillness *s = &look->scope->still;
    const struct rule *r = look->rule;
    *f = (struct finding){.clear = s->steps == 0,
                          .severity = r->severity,
                          .value = s->steps,
                          .threshold = r->fire_above};
    f->fire = look->warmed_up && s->steps > r->fire_above && s->moving >= MOVING_STEPS &&
              s->steps > LONGER * s->longest && look->a->watch.live_layers > 0;
}

void freezing_describe(struct text *t, const struct life *l, const struct story *story) {
    text_add_subject(t, story->layer);
    text_add(t, " stopped learning at step %" PRId64 ": no gradient for %.0f steps",
             l->since - (int64_t)l->value + 1, l->value);
    if (story->crowd) {
        uint32_t others = story->a->watch.live_layers;
        text_add(t, " while %" PRIu32 " other layer%s", others,
                 others == 1 ? " gets one" : "s get one");
    }
    text_add(t, " (frozen, detached, or all its units dead)");
}
