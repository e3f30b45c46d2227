// The inside of struct alerts, shared by the files of this directory.
//
// What is saved is flat: one struct watch, then one struct scope a layer.
#ifndef ALERTS_STATE_H
#define ALERTS_STATE_H

#include "alerts/alerts.h"
#include "alerts/baseline.h"
#include "alerts/life.h"
#include "alerts/robust_z.h"

// A series of which only sudden rises matter: its slow trend is taken off, the rest is scored.
struct detrended {
    double trend;
    uint32_t count, held; // held: values kept out in a row
    struct robust_z window;
};

// How far the learning rate lies above what the run has shown to bear.
struct pace {
    double lr;      // of this step, NaN when unknown
    double highest; // in this attempt
    double proven;  // 0 until the learning rate's own warm-up is over
    uint32_t flat;  // steps since it last rose above the highest
};

// The movement of a layer per learning rate: averages of |dw|^2 and of the learning rate's square.
struct movement {
    double update2, lr2;
    uint32_t held;
    struct robust_z window;
};

// The rules that judge layer by layer.
enum layer_rule { LAYER_UNSTABLE, LAYER_OVERHEATING, LAYER_RULES };

struct scope {
    struct baseline stability;
    struct movement movement;
    struct life lives[LAYER_RULES];
};

// What the layers' findings of one rule and step add up to. When at least half of the layers find
// the same, it is one alert of the whole run and not one of each layer.
struct crowd {
    uint32_t layers, hot, warm; // all; that fire; that are not clear
    uint32_t severity;          // the highest of the hot
    double value, threshold;    // averages over the hot
};

enum nonfinite_what {
    NONFINITE_NOTHING,
    NONFINITE_LOSS,
    NONFINITE_WEIGHTS,
    NONFINITE_GRADIENT,
    NONFINITE_UPDATE
};

struct nonfinite {
    uint64_t layer;  // of the first bad step; UINT64_MAX: the whole run
    uint64_t others; // further layers at that step
    uint32_t run;    // bad steps in a row
    uint32_t what;
    bool diverged; // until the alert resolves
};

struct watch {
    int64_t step; // the newest, -1 before the first
    double time;
    uint64_t seen; // finite steps of this attempt
    struct nonfinite nonfinite;
    struct detrended loss, gradient;
    bool signed_loss; // a loss was not above zero: losses are judged as they are, not by logarithm
    uint32_t spike_steps; // since the spike's alert fired
    struct pace pace;
    double batch;         // logarithm of the batch size in the windows
    uint32_t batch_steps; // with another batch size, in a row
    // The newest group of alerts: its first one and the step at which that fired.
    uint32_t group_rule;
    uint64_t group_layer;
    int64_t group_since, group_fired;
    struct life nonfinite_life, spike_life, stalled_life;
    struct life lives[LAYER_RULES];   // of the whole run
    struct crowd crowds[LAYER_RULES]; // of the newest step
};

struct alerts {
    size_t n_layers;
    char **names;
    struct rule rules[RULE_COUNT];
    uint8_t *applies; // bit 1 << rule: the rule is for this layer; [n_layers]: for the whole run
    struct watch watch;
    struct scope *scopes;     // of the layers
    struct finding *findings; // scratch: LAYER_RULES a layer
};

// Whether the statistics of a step can be used; else n->layer and what say where the fault began.
bool nonfinite_observe(struct nonfinite *n, const struct thermo_step *step, size_t n_layers);

// Scores x and then takes it in, unless hold, which keeps a suspect value out.
double detrended_score(const struct detrended *d, double x);
void detrended_add(struct detrended *d, double x, bool hold);
void spike_observe(struct watch *w, const struct rule *rule, const struct thermo_step *step,
                   size_t n_layers, struct finding *f);

void pace_observe(struct pace *p, double lr, bool warmed_up);
// How many times the proven learning rate the present one is; at least 1.
double pace_excess(const struct pace *p);

void unstable_observe(struct scope *s, const struct rule *rule, const struct pace *pace,
                      double stability, bool warmed_up, struct finding *f);
void overheating_observe(struct scope *s, const struct rule *rule, double update2, double weight2,
                         double lr, bool warmed_up, bool open, struct finding *f);
void crowd_add(struct crowd *c, const struct finding *f);
struct finding crowd_finding(const struct crowd *c, const struct rule *rule);

// What a sentence is about, besides the alert itself.
struct story {
    const char *layer; // NULL: the whole run
    const struct watch *watch;
    const struct scope *scope; // NULL for the whole run
    const struct crowd *crowd; // of a rule that judges layer by layer
};
void summary_write(char text[ALERT_SUMMARY_MAX], enum rule_id rule, const struct life *l,
                   enum life_event event, const struct story *story);

#endif
