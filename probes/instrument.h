// What every instrument is given and how it answers. Private to probes/.
//
// An instrument is a pure function of what body.h keeps: `<metric>_read` fills in the value or the
// reason why there is none, and the interval only where v->interval asks for it, so that the value
// alone is cheap and the same to the last bit.
#ifndef PROBES_INSTRUMENT_H
#define PROBES_INSTRUMENT_H

#include "probes/body.h"
#include "probes/engine.h"
#include "probes/reading.h"
#include "probes/student.h"

#define REASON_FROZEN "frozen: no gradient and no update for 20 steps"
#define REASON_DEAD "dead: no gradient for 20 steps"
#define REASON_COLLAPSED "collapsed: w_var is not positive"
#define REASON_STEPS "needs more steps"
#define REASON_UNRESOLVED "indeterminate: entropy moved less than it can be resolved"
#define REASON_WHOLE_RUN "measured for the whole run"
#define NO_INTERVAL_BLOCKS "needs more steps: an interval takes four blocks of them"
#define NO_INTERVAL_COURSE                                                                         \
    "indeterminate: a window has too few blocks to tell a layer's noise from its course"
#define NO_INTERVAL_UNBOUNDED "indeterminate: the interval has no bounds"

struct view {
    const struct run *run;
    const struct body *body;     // the layer's, or the whole run's
    const struct engine *engine; // the layer's; NULL for the whole run
    double n;                    // its parameters
    bool whole;                  // the whole run
    bool interval;               // the interval is wanted too
    const struct body *layers;   // all of them, for what is summed at reading time
    const double *sizes;
    size_t n_layers;
};

static inline void reading_none(struct reading *r, const char *reason) {
    *r = (struct reading){.reason = reason};
}

static inline void reading_value(struct reading *r, double value) {
    *r = (struct reading){.value = value};
}

static inline void reading_interval(struct reading *r, double low, double high) {
    r->low = low;
    r->high = high;
    r->has_interval = true;
}

// value +- half, unless half is not a number to be trusted.
void reading_around(struct reading *r, double half);
// The interval of what cannot be negative.
void reading_not_negative(struct reading *r);

// `scale` times the windowed ratio of two columns (COLUMN_NONE: the average of one), with its
// interval. False when there is none; the caller then gives the reason.
bool read_window(const struct view *v, enum column num, enum column den, double scale,
                 struct reading *r);

// "needs u_var": the first of the keys that the body never got.
#define read_missing(v, r, ...)                                                                    \
    do {                                                                                           \
        static const unsigned needs_[] = {__VA_ARGS__};                                            \
        reading_none((r),                                                                          \
                     sample_missing((v)->body->seen, needs_, sizeof needs_ / sizeof *needs_));     \
    } while (0)

// The same for what needs both energy and entropy in the window.
void read_missing_energy_or_entropy(const struct view *v, struct reading *r);

// SGD, plain or heavy ball, that nothing but the gradient moves: configurational and kinetic
// temperature are then equal when stationary.
bool equilibrium_is_exact(const struct run *run);

// The kinetic temperature is this many times <|dw|^2/eta>.
double kinetic_scale(const struct run *run);

void configurational_read(const struct view *v, struct reading *r);
void coherence_read(const struct view *v, struct reading *r);
void differential_read(const struct view *v, struct reading *r);
void drift_read(const struct view *v, struct reading *r);
void efficiency_read(const struct view *v, struct reading *r);
void entropy_production_read(const struct view *v, struct reading *r);
void energy_read(const struct view *v, struct reading *r);
void entropy_read(const struct view *v, struct reading *r);
void equilibrium_read(const struct view *v, struct reading *r);
void first_law_read(const struct view *v, struct reading *r);
void free_energy_read(const struct view *v, struct reading *r);
void heat_capacity_read(const struct view *v, struct reading *r);
void heat_read(const struct view *v, struct reading *r);
void kinetic_read(const struct view *v, struct reading *r);
void noise_read(const struct view *v, struct reading *r);
void noise_scale_read(const struct view *v, struct reading *r);
void quadrant_read(const struct view *v, struct reading *r);
void retention_read(const struct view *v, struct reading *r);
void spectral_read(const struct view *v, struct reading *r);
void stability_read(const struct view *v, struct reading *r);
void transition_read(const struct view *v, struct reading *r);
void update_equilibrium_read(const struct view *v, struct reading *r);
void update_ratio_read(const struct view *v, struct reading *r);
void velocity_read(const struct view *v, struct reading *r);

#endif
