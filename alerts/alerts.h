// The alerts of one run: rules judge every step, and each alert lives from pending through firing
// to resolved. No I/O: changes are handed to the caller, who stores them in the transaction of the
// step that caused them. One thread. The state is saved and loaded as bytes, like struct thermo's.
#ifndef ALERTS_ALERTS_H
#define ALERTS_ALERTS_H

#include "alerts/rules.h"
#include "probes/phase.h"
#include "probes/thermo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum alert_state { ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };

const char *alert_state_name(enum alert_state s);

#define ALERT_SUMMARY_MAX 512

// A change in the life of one alert. An alert is known by (rule, layer, since): the store gives it
// a number. `cancelled`: a pending alert whose condition went away before it fired; it is
// forgotten. A firing alert that became more severe is told a second time as firing. Pointers are
// valid during the call.
struct alert_change {
    unsigned rule; // enum rule_id, or beyond RULE_COUNT one of the configuration's own
    const char *rule_name;
    const struct rule *settings; // labels and annotations; NULL when the rule is no longer in force
    size_t layer;                // THERMO_GLOBAL for the whole run
    enum severity severity;
    enum alert_state state;
    bool cancelled;
    int64_t since;    // the step at which the condition began
    int64_t step;     // the step at which it fired (pending: the newest step)
    double time;      // of this change, seconds since the epoch
    double value;     // when it fired or became more severe (pending: newest)
    double threshold; // that was in force; a rule may adapt it to the run
    // The first alert of the same cause: its rule, layer and since; itself when it is the first.
    unsigned group_rule;
    const char *group_rule_name;
    size_t group_layer;
    int64_t group_since;
    char summary[ALERT_SUMMARY_MAX]; // a sentence a person understands, with the layer's name
};

typedef void alert_change_fn(void *context, const struct alert_change *change);

// What only the job knows: the value of "scalar.NAME", or of one of its own statistics at a layer.
// num_missing() when the step has none.
typedef double alerts_lookup_fn(const void *context, const char *name, size_t layer);

// A step as it is judged. The memory is the caller's and is read during the call only.
struct alerts_input {
    const struct thermo_step *step;
    double time; // of the step, seconds since the epoch
    double val_loss, loss_after;
    alerts_lookup_fn *lookup; // NULL: there is nothing of its own
    const void *lookup_context;
};

// Whom the rules are for, and the names in sentences. Copied.
struct alerts_facts {
    const char *run, *project; // NULL: not bound to any
    size_t n_layers;
    const char *const *layer_names;
};

struct alerts;

// Holds the ruleset.
struct alerts *alerts_create(struct ruleset *rules, const struct alerts_facts *facts);
void alerts_destroy(struct alerts *a);
// New rules in force (a reload); running alerts of a rule that is gone or off resolve at the next
// step.
void alerts_set_rules(struct alerts *a, struct ruleset *rules);

// Judges the step that `t` has just observed.
void alerts_observe(struct alerts *a, const struct thermo *t, const struct alerts_input *in,
                    alert_change_fn *changed, void *context);
// A histogram of the model's outputs: its entropy in nats, the standard error of that, and whether
// its bins are those of the one before. Judged with the next step.
void alerts_outputs(struct alerts *a, double entropy, double error, bool same_bins);
// The data were refreshed.
void alerts_refresh(struct alerts *a);
// The run's course broke. Judged with the next step.
void alerts_phase(struct alerts *a, const struct phase_change *change);
// Nothing came for `silent_s` seconds although the run has not ended (threshold_s: what was
// allowed). The next step resolves it.
void alerts_stalled(struct alerts *a, double time, double silent_s, double threshold_s,
                    alert_change_fn *changed, void *context);
// The run ended or was rewound: whatever is pending is cancelled, whatever fires is resolved.
void alerts_end(struct alerts *a, double time, alert_change_fn *changed, void *context);
// See thermo_begin_segment: baselines are kept but stale, windows are dropped.
void alerts_begin_segment(struct alerts *a);

// alerts_load takes bytes that were saved under other rules, too. False when they are not of this
// version or of other layers; the state is then as it was.
size_t alerts_saved_size(const struct alerts *a);
size_t alerts_bytes(size_t n_layers); // in memory, about
void alerts_save(const struct alerts *a, void *bytes);
bool alerts_load(struct alerts *a, const void *bytes, size_t n);

#endif
