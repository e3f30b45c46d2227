// The life of one alert: idle -> pending -> firing -> resolved, which is idle with a memory of
// when. Knows nothing of rules beyond their times. Flat; zero it before use.
#ifndef ALERTS_LIFE_H
#define ALERTS_LIFE_H

#include "alerts/rules.h"

#define LIFE_COOLDOWN_STEPS 200 // after a resolution only something more severe fires again

enum life_phase { LIFE_IDLE, LIFE_PENDING, LIFE_FIRING };

enum life_event {
    LIFE_NOTHING,
    LIFE_BEGAN,     // now pending
    LIFE_CANCELLED, // was pending
    LIFE_FIRED,
    LIFE_WORSENED, // firing, with a higher severity than before
    LIFE_RESOLVED
};

struct life {
    int64_t since, fired; // steps, valid unless idle; fired: while pending the newest step
    int64_t quiet_until;  // the step up to which it must not fire again
    double value, threshold;
    double began, cleared; // times at which the condition began, at which it went away
    int64_t group_since;
    uint64_t group_layer;
    uint32_t held, gone; // steps in a row that the condition held, that it was gone
    uint8_t phase, severity, quiet_severity, group_rule;
    uint8_t rule; // whose alert this is
    uint8_t reserved[3];
};

// What a rule finds at a step. Between fire and clear nothing changes: that is the hysteresis.
// Unknown: the step says nothing, and is to the alert as if it had not been.
struct finding {
    bool fire, clear, unknown;
    enum severity severity;
    double value, threshold;
};

enum life_event life_step(struct life *l, const struct rule *rule, int64_t step, double time,
                          const struct finding *f);
// Ends what is open: LIFE_CANCELLED, LIFE_RESOLVED or LIFE_NOTHING.
enum life_event life_end(struct life *l, int64_t step);
bool life_is_firing(const struct life *l);
// Nothing is open and nothing is remembered: the place may be taken by another alert.
bool life_is_free(const struct life *l, int64_t step);
bool life_is_valid(const struct life *l);

#endif
