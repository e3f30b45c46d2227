// Steps that the optimizer did not take because the scaled loss overflowed (thermo.h tells which).
// One now and then is how a loss scaler finds its scale; many mean that it finds none.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>

static void remember(struct skips *s, bool skipped) {
    uint64_t bit = UINT64_C(1) << (s->next % 64), *word = &s->bits[s->next / 64];
    s->count -= (*word & bit) != 0;
    s->count += skipped;
    *word = skipped ? *word | bit : *word & ~bit;
    s->next = (s->next + 1) % SKIPS_STEPS;
}

bool skipped_judge(const struct teller *to, const struct thermo *t, double loss) {
    struct alerts *a = to->a;
    struct skips *s = &a->watch.skips;
    bool skipped = thermo_newest_is_skipped(t) && (isfinite(loss) || num_is_missing(loss));
    remember(s, skipped);
    const struct rule *rule = rule_for(a, RULE_SKIPPED_STEPS, a->n_layers);
    struct finding f = {.clear = true, .value = s->count / (double)SKIPS_STEPS};
    if (rule) {
        f.fire = f.value > rule->fire_above;
        f.clear = f.value < rule->clear_below;
        f.severity = rule->severity;
        f.threshold = rule->fire_above;
    }
    tell_finding(to, RULE_SKIPPED_STEPS, a->n_layers, &f);
    return skipped;
}

void skipped_describe(struct text *t, const struct life *l, const struct story *story) {
    (void)story;
    text_add(t,
             "the optimizer skipped %.0f of the last %d steps up to step %" PRId64
             " because gradients overflowed (the loss scale does not settle, or gradients are not "
             "finite at any scale)",
             l->value * SKIPS_STEPS, SKIPS_STEPS, l->since);
}
