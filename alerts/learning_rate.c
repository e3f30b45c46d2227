// A learning rate far above what the run has shown to bear: see pace_excess(). A schedule may step
// up; one that creeps up and up, behind a warm-up that was over, is allowed less of that. One that
// had come down and jumps beyond all that was borne is judged by its jump.
#include "alerts/state.h"

#include <math.h>

#define CREEPING_STEPS 50
#define CREEPING_SHARE 0.4 // of the threshold

void learning_rate_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    const struct pace *p = &look->a->watch.pace;
    double excess = fmax(pace_excess(p), p->jump);
    double allowed = r->fire_above * (p->rising >= CREEPING_STEPS ? CREEPING_SHARE : 1);
    *f = (struct finding){.fire = look->warmed_up && excess > allowed,
                          .clear = excess < fmin(r->clear_below, allowed),
                          .severity = r->severity,
                          .value = excess,
                          .threshold = allowed};
}

void learning_rate_describe(struct text *t, const struct life *l, const struct story *story) {
    const struct pace *p = &story->a->watch.pace;
    double excess = pace_excess(p);
    if (p->jump > excess) {
        text_add(t, "the learning rate jumped to %.3g, %.3g times that of the step before, beyond ",
                 p->lr, l->value);
        text_add(t, "the highest that the run has shown to bear");
        return;
    }
    text_add(t, "the learning rate %.3g is %.3g times the highest that the run has shown to bear",
             p->lr, l->value);
}
