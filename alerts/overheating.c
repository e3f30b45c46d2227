// Kinetic temperature over its scheduled part. The temperature is |dw|^2 / eta up to a constant and
// its scheduled part is eta / (B (1 - mu)) (theory 2.4): within a window in which batch size and
// momentum stay the same |dw|^2 / eta^2 is what is left, for Adam as well, whose updates are in
// proportion to eta. A change of the batch size starts the windows anew (alerts.c).
#include "alerts/state.h"

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

void overheating_observe(struct scope *s, const struct rule *rule, double update2, double weight2,
                         double lr, bool warmed_up, bool open, struct finding *f) {
    struct movement *m = &s->movement;
    *f = (struct finding){.severity = rule->severity, .threshold = rule->fire_above};
    if (!can_measure(update2, weight2, lr)) {
        f->clear = true;
        return;
    }
    bool first = !(m->lr2 > 0);
    m->update2 = smooth(m->update2, update2, first);
    m->lr2 = smooth(m->lr2, lr * lr, first);
    double x = log(m->update2 / m->lr2);
    f->value = robust_z_score(&m->window, x);
    bool full = robust_z_is_full(&m->window);
    bool far = x - (double)m->window.median > log(RATIO_MIN);
    f->fire = full && warmed_up && far && f->value > rule->fire_above;
    f->clear = !full || f->value < rule->clear_below;
    bool hold = full && (f->fire || (open && !f->clear));
    if (hold && ++m->held < HOLD_MAX) {
        return;
    }
    if (hold) {
        robust_z_clear(&m->window);
    }
    m->held = 0;
    robust_z_add_winsorised(&m->window, x);
}
