// A learning rate far above what the run has shown to bear: see pace_excess(). A schedule may step
// up; one that creeps up and up, behind a warm-up that was over, is allowed next to nothing of
// that. One that had come down and jumps beyond all that was borne is judged by its jump; one that
// had come down and grows by the same share at every step, as no schedule does, by how far it came.
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

#define CREEPING_STEPS 50
#define CREEPING_SHARE (1. / 16) // of what the threshold lies above 1
#define STEADY_SHARE 0.25        // the same

static double share_of(double threshold, double share) {
    return 1 + share * (threshold - 1);
}

// How many times what it was, where it grows steadily behind a warm-up that was over.
static double crept(const struct pace *p) {
    return p->proven > 0 && p->steady >= CREEPING_STEPS ? p->lr / p->from : 1;
}

static void consider(struct finding *f, double value, double allowed) {
    if (!f->fire && value > allowed) {
        f->fire = true;
        f->value = value;
        f->threshold = allowed;
    }
}

void learning_rate_look(const struct look *look, struct finding *f) {
    const struct rule *r = look->rule;
    const struct pace *p = &look->a->watch.pace;
    bool creeps = p->rising >= CREEPING_STEPS;
    double allowed = creeps ? share_of(r->fire_above, CREEPING_SHARE) : r->fire_above;
    *f = (struct finding){.severity = r->severity, .value = pace_excess(p), .threshold = allowed};
    consider(f, pace_excess(p), allowed);
    consider(f, p->jump, r->fire_above);
    consider(f, crept(p), share_of(r->fire_above, STEADY_SHARE));
    f->clear = f->value < fmin(r->clear_below, f->threshold);
    f->fire = f->fire && look->warmed_up;
}

void learning_rate_describe(struct text *t, const struct life *l, const struct story *story) {
    const struct pace *p = &story->a->watch.pace;
    double excess = pace_excess(p);
    if (p->jump > excess) {
        text_add(t, "the learning rate jumped to %.3g, %.3g times that of the step before, beyond ",
                 p->lr, l->value);
        text_add(t, "the highest that the run has shown to bear");
    } else if (l->value > excess) {
        text_add(t,
                 "the learning rate has crept up to %.3g, %.3g times what it was %" PRIu32
                 " steps before, by the same share at each step",
                 p->lr, l->value, p->steady);
    } else {
        text_add(t,
                 "the learning rate %.3g is %.3g times the highest that the run has shown to bear",
                 p->lr, l->value);
    }
    if (p->rising >= CREEPING_STEPS && excess > 1) {
        text_add(t, " and has risen for %" PRIu32 " steps", p->rising);
    }
}
