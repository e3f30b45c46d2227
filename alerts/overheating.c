// Kinetic temperature over its scheduled part. The temperature is |dw|^2 / eta up to a constant and
// its scheduled part is eta / (B (1 - mu)) (theory 2.4): within a window in which batch size and
// momentum stay the same |dw|^2 / eta^2 is what is left, for Adam as well, whose updates are in
// proportion to eta. A change of the batch size starts the windows anew (alerts.c).
#include "alerts/state.h"

#include <inttypes.h>
#include <math.h>

#define SMOOTHING 0.1
#define HOLD_MAX 1000    // suspect values kept out in a row until they are the new normal
#define RATIO_MIN 4.     // a smaller rise is no overheating, however regular the run was
#define RESOLUTION 1e-13 // |dw|^2 / |w|^2 below this is the rounding of float32 weights
#define LR_MIN 1e-100
#define UPDATE2_MIN 1e-200
#define MAX 1e100 // beyond this squares would no longer be finite

static double smooth(double mean, double x, bool first) {
    return first ? x : mean + SMOOTHING * (x - mean);
}

static bool can_measure(double update2, double weight2, double lr) {
    return lr > LR_MIN && lr < MAX && update2 > UPDATE2_MIN && update2 < MAX &&
           update2 > RESOLUTION * weight2;
}

static bool is_told(const struct look *look) {
    const struct life *whole = &look->a->watch.lives[RULE_OVERHEATING];
    return is_open(look->a, RULE_OVERHEATING, look->layer) || whole->phase != LIFE_IDLE;
}

void overheating_look(const struct look *look, struct finding *f) {
    struct movement *m = &look->scope->movement;
    const struct rule *rule = look->rule;
    const struct sizes *z = &look->a->sizes[look->layer];
    double lr = look->a->watch.pace.lr;
    if (look->a->watch.batch_steps > 0) {
        *f = (struct finding){.unknown = true};
        return;
    }
    *f = (struct finding){.severity = rule->severity, .threshold = rule->fire_above};
    if (!can_measure(z->update2, z->weight2 > 0 ? z->weight2 : 0, lr)) {
        f->clear = true;
        return;
    }
    bool first = !(m->lr2 > 0);
    m->update2 = smooth(m->update2, z->update2, first);
    m->lr2 = smooth(m->lr2, lr * lr, first);
    double x = m->heat = log(m->update2 / m->lr2);
    f->value = robust_z_score(&m->window, x);
    bool full = robust_z_is_full(&m->window);
    bool far = x - (double)m->window.median > log(RATIO_MIN);
    f->fire = full && look->warmed_up && far && f->value > rule->fire_above;
    f->clear = !full || f->value < rule->clear_below;
    // A layer may grow hot for its own good: it warns when the loss suffers, too.
    if (!loss_suffers(&look->a->watch)) {
        f->severity = SEVERITY_INFO;
    }
    bool hold = full && (f->fire || (!f->clear && is_told(look)));
    if (hold && ++m->held < HOLD_MAX) {
        return;
    }
    if (hold) {
        robust_z_clear(&m->window);
    }
    m->held = 0;
    robust_z_add_winsorised(&m->window, x);
}

static void add_times(struct text *t, const struct movement *m) {
    double usual = exp((double)m->window.median);
    bool known = robust_z_is_full(&m->window);
    double times = known && m->lr2 > 0 && usual > 0 ? m->update2 / m->lr2 / usual : 0;
    if (times > 0 && isfinite(times)) {
        text_add(t, " overheats: its kinetic temperature is %.3g times", times);
    } else {
        text_add(t, " overheats: its kinetic temperature is far above");
    }
}

void overheating_describe(struct text *t, const struct life *l, const struct story *story) {
    text_add_subject(t, story->layer);
    if (story->scope) {
        add_times(t, &story->scope->movement);
    } else {
        text_add(t,
                 " overheats: in %" PRIu32 " of %" PRIu32
                 " layers the kinetic temperature is far above",
                 story->crowd->hot, story->crowd->layers);
    }
    text_add(t,
             " what is usual at this learning rate and batch size (robust z %.3g%s, over %.3g for "
             "%" PRIu32 " step%s)",
             l->value, story->scope ? "" : " on average", l->threshold, l->held,
             text_plural(l->held));
}
