// The alerts of one run: rules judge every step, and each alert lives from pending through firing
// to resolved. No I/O: changes are handed to the caller, who stores them in the transaction of the
// step that caused them. One thread. The state is saved and loaded as bytes, like struct thermo's.
#ifndef ALERTS_ALERTS_H
#define ALERTS_ALERTS_H

#include "probes/thermo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL };
enum alert_state { ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };

enum rule_id {
    RULE_LOSS_NONFINITE,
    RULE_LOSS_SPIKE,
    RULE_UNSTABLE,
    RULE_OVERHEATING,
    RULE_STALLED,
    RULE_COUNT
};

// A rule in force. Defaults come from rules_default(); the configuration changes them.
struct rule {
    enum rule_id id;
    bool enabled;
    enum severity severity;
    double fire_above;          // in the unit of the rule's value, see rules.c
    double clear_below;         // hysteresis: a firing alert holds until the value falls below this
    uint32_t for_steps;         // the condition must hold this many steps in a row before it fires
    uint32_t keep_firing_steps; // and be gone this many before it resolves
    uint32_t warmup_steps;      // steps of a run that are not judged
    const char *layer_glob;     // NULL = every layer; owned by the configuration
};

const char *rule_name(enum rule_id id);
bool rule_find(const char *name, enum rule_id *id);
// One sentence: what the rule means and what its value is, for people.
const char *rule_help(enum rule_id id);
void rules_default(struct rule rules[RULE_COUNT]);

const char *severity_name(enum severity s);
const char *alert_state_name(enum alert_state s);

#define ALERT_SUMMARY_MAX 512

// A change in the life of one alert. An alert is known by (rule, layer, since): the store gives it
// a number. `cancelled`: a pending alert whose condition went away before it fired; it is
// forgotten. A firing alert that became more severe is told a second time as firing.
struct alert_change {
    enum rule_id rule;
    size_t layer; // THERMO_GLOBAL for the whole run
    enum severity severity;
    enum alert_state state;
    bool cancelled;
    int64_t since;    // the step at which the condition began
    int64_t step;     // the step at which it fired (pending: the newest step)
    double time;      // of this change, seconds since the epoch
    double value;     // when it fired or became more severe (pending: newest)
    double threshold; // that was in force; a rule may adapt it to the run
    // The first alert of the same cause: its rule, layer and since; itself when it is the first.
    enum rule_id group_rule;
    size_t group_layer;
    int64_t group_since;
    char summary[ALERT_SUMMARY_MAX]; // a sentence a person understands, with the layer's name
};

typedef void alert_change_fn(void *context, const struct alert_change *change);

struct alerts;

// layer_names: the run's layers, copied. `rules` is copied too.
struct alerts *alerts_create(const struct rule rules[RULE_COUNT], size_t n_layers,
                             const char *const *layer_names);
void alerts_destroy(struct alerts *a);
// New rules in force (a reload); running alerts of a rule that was switched off resolve at the next
// step.
void alerts_set_rules(struct alerts *a, const struct rule rules[RULE_COUNT]);

// Judges the step that `t` has just observed. `time` is the step's time in seconds since the epoch.
void alerts_observe(struct alerts *a, const struct thermo *t, const struct thermo_step *step,
                    double time, alert_change_fn *changed, void *context);
// Nothing came for `silent_s` seconds although the run has not ended (threshold_s: what was
// allowed). The next step resolves it.
void alerts_stalled(struct alerts *a, double time, double silent_s, double threshold_s,
                    alert_change_fn *changed, void *context);
// The run ended or was rewound: whatever is pending is cancelled, whatever fires is resolved.
void alerts_end(struct alerts *a, double time, alert_change_fn *changed, void *context);
// See thermo_begin_segment: baselines are kept but stale, windows are dropped.
void alerts_begin_segment(struct alerts *a);

size_t alerts_saved_size(const struct alerts *a);
void alerts_save(const struct alerts *a, void *bytes);
bool alerts_load(struct alerts *a, const void *bytes, size_t n);

#endif
