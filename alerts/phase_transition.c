// Changes of phase: the run's course broke, as the probes have found out (probes/phase.h). It
// informs: what goes wrong is for the other rules to say.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>

// A peak of the heat capacity has none: what found it has judged already.
static double sureness(const struct phase_change *p) {
    return num_is_missing(p->probability) ? 1 : p->probability;
}

void alerts_phase(struct alerts *a, const struct phase_change *change) {
    struct phase_change *p = &a->watch.phase;
    // Of several before one step the surest is told.
    if (!a->watch.phase_is_new || sureness(change) > sureness(p)) {
        *p = *change;
    }
    a->watch.phase_is_new = 1;
}

void phase_transition_look(const struct look *look, struct finding *f) {
    struct watch *w = &look->a->watch;
    const struct rule *r = look->rule;
    *f = (struct finding){.clear = !w->phase_is_new,
                          .severity = r->severity,
                          .value = sureness(&w->phase),
                          .threshold = r->fire_above};
    f->fire = w->phase_is_new && look->warmed_up && sureness(&w->phase) > r->fire_above;
    w->phase_is_new = 0;
}

void phase_transition_describe(struct text *t, const struct life *l, const struct story *story) {
    const struct phase_change *p = &story->a->watch.phase;
    text_add(t,
             "the run changed its phase: %s went from %.3g to %.3g at step %" PRId64
             " (probability %.2g, clear at step %" PRId64 ")",
             phase_what_name(p->what), p->before, p->after, p->step, l->value, p->found);
}
