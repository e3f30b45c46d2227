// Temperatures of the run as a whole: layers that drift apart, and heat that is taken up.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>

#define LAYERS_MIN 3
#define APART_MIN 0.7 // of the scatter of logarithms, beyond its level

static const struct level_settings of_imbalance = {
    .memory = 128, .floor = 0.05, .learn = 256, .hold = 1000};

// The scatter of the logarithms of the kinetic temperatures, which overheating has measured.
static double scatter(const struct alerts *a) {
    double n = 0, mean = 0, squares = 0;
    for (size_t i = 0; i < a->n_layers; i++) {
        const struct movement *m = &a->scopes[i].movement;
        if (m->lr2 > 0 && m->update2 > 0) {
            double x = m->heat, off = x - mean;
            n++;
            mean += off / n;
            squares += off * (x - mean);
        }
    }
    return n >= LAYERS_MIN ? sqrt(squares / n) : num_missing();
}

void thermal_imbalance_look(const struct look *look, struct finding *f) {
    struct level *level = &look->a->watch.imbalance;
    const struct rule *r = look->rule;
    double x = scatter(look->a), usual = level->mean;
    *f = (struct finding){.severity = r->severity, .threshold = r->fire_above};
    f->unknown = isnan(x) || look->a->watch.batch_steps > 0;
    if (f->unknown) {
        return;
    }
    f->value = level_observe(level, &of_imbalance, x);
    f->fire = look->warmed_up && f->value > r->fire_above && x > usual + APART_MIN;
    f->clear = f->value < r->clear_below;
}

void thermal_imbalance_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t,
             "the layers' kinetic temperatures drift apart: the scatter of their logarithms lies "
             "%.3g times its usual change above its level",
             l->value);
}

void heating_look(const struct look *look, struct finding *f) {
    double quadrant = thermo_value(look->thermo, THERMO_GLOBAL, METRIC_QUADRANT);
    *f = (struct finding){.severity = look->rule->severity, .unknown = isnan(quadrant)};
    if (!f->unknown) {
        bounds_judge(look, (int)quadrant == QUADRANT_HEATING, f);
    }
}

void heating_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t, "the run takes up heat: loss and entropy have both risen for %" PRIu32 " steps",
             l->held);
}
