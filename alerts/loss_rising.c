// A loss that rises without a jump: a cumulative sum over its level.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>

#define SLACK 0.75 // k: half the shift that is looked for
#define WINSOR 4
#define FAST 0.1
#define RISE 1.5
#define FAILING 3         // times its least: what counts as failed
#define FAILING_SHARE 0.7 // of the threshold: more than two samples by themselves, or three
#define SURE 2            // times the threshold
#define SURE_STEPS 100
#define SURE_RISE 1.1

#define SLOW (1. / 128)

static const struct level_settings of_loss = {
    .memory = 64, .floor = 0.02, .learn = 64, .hold = 500, .rises = true};

// How far log(loss) lies above the lower of two averages: a loss that falls fast leaves the slow
// one behind, far above itself, and what rises then would hide below it.
static double score(struct rising *s, double x) {
    bool known = s->level.count >= of_loss.learn;
    double spread = fmax(s->level.spread, of_loss.floor);
    double reach = known ? WINSOR * spread : (double)INFINITY;
    double z = known ? (x - fmin(s->slow, s->level.mean)) / spread : 0;
    uint32_t held = s->level.held;
    level_observe(&s->level, &of_loss, x);
    if (s->level.count == 1) {
        s->slow = x;
    } else if (s->level.held <= held) {
        double rate = fmax(SLOW, 1. / s->level.count);
        s->slow += rate * fmin(fmax(x - s->slow, -reach), reach);
    }
    return z;
}

// A loss that is far from zero, as of text, cannot rise by half: there the sum itself must show
// that the rise is real, and soon. The further the loss has come the less is left to be shown.
static bool has_risen(const struct look *look, double sum) {
    const struct watch *w = &look->a->watch;
    const struct rising *s = &w->rising;
    double threshold = look->rule->fire_above, times = s->fast / s->least;
    bool is_told = w->lives[RULE_LOSS_SPIKE].phase != LIFE_IDLE;
    bool failing = sum > FAILING_SHARE * threshold && times > FAILING && !is_told;
    bool sure = sum > SURE * threshold && s->sum.length <= SURE_STEPS && times > SURE_RISE;
    return failing || sure || (sum > threshold && times > RISE);
}

void loss_rising_look(const struct look *look, struct finding *f) {
    struct rising *s = &look->a->watch.rising;
    const struct rule *r = look->rule;
    double loss = look->in->step->loss;
    *f = (struct finding){.severity = severity_here(look), .threshold = r->fire_above};
    if (!(loss > 0) || isinf(loss)) {
        f->unknown = true;
        return;
    }
    if (look->a->watch.pace.restarts) { // what that does to the loss is the schedule's doing
        *s = (struct rising){0};
    }
    s->fast = s->fast > 0 ? s->fast + FAST * (loss - s->fast) : loss;
    s->least = s->least > 0 ? fmin(s->least, s->fast) : s->fast;
    struct level before = s->level;
    double slow = s->slow, z = score(s, log(loss));
    f->value = cusum_add(&s->sum, fmin(fmax(z, -WINSOR), WINSOR), SLACK);
    bool suspect = f->value > r->fire_above / 2;
    if (suspect && s->sum.length < 1000) {
        s->level.mean = before.mean; // held: a fault must not become the new normal by lasting
        s->level.spread = before.spread;
        s->slow = slow;
    }
    f->fire = look->warmed_up && has_risen(look, f->value);
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
