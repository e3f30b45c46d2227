// A loss that rises without a jump: a cumulative sum over its level.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>

#define SLACK 0.75 // k: half the shift that is looked for
#define WINSOR 4
#define FAST 0.1
#define RISE 1.5

static const struct level_settings of_loss = {
    .memory = 128, .floor = 0.02, .learn = 64, .hold = 500};

void loss_rising_look(const struct look *look, struct finding *f) {
    struct rising *s = &look->a->watch.rising;
    const struct rule *r = look->rule;
    double loss = look->in->step->loss;
    *f = (struct finding){.severity = r->severity, .threshold = r->fire_above};
    if (!(loss > 0) || isinf(loss)) {
        f->unknown = true;
        return;
    }
    s->fast = s->fast > 0 ? s->fast + FAST * (loss - s->fast) : loss;
    s->least = s->least > 0 ? fmin(s->least, s->fast) : s->fast;
    struct level before = s->level;
    double z = level_observe(&s->level, &of_loss, log(loss));
    f->value = cusum_add(&s->sum, fmin(fmax(z, -WINSOR), WINSOR), SLACK);
    bool suspect = f->value > r->fire_above / 2;
    if (suspect && s->sum.length < 1000) {
        s->level.mean = before.mean; // held: a fault must not become the new normal by lasting
        s->level.spread = before.spread;
    }
    f->fire = look->warmed_up && f->value > r->fire_above && s->fast > RISE * s->least;
    f->clear = f->value < r->clear_below;
}

void loss_rising_describe(struct text *t, const struct life *l, const struct story *story) {
    const struct rising *s = &story->a->watch.rising;
    text_add(t,
             "the loss rises: %.3g on average over the last steps, %.3g times its least, over its "
             "level for %" PRIu32 " steps",
             s->fast, s->fast / s->least, s->sum.length);
    (void)l;
}
