// Rules: what is judged, against which figures, for how long. A ruleset is immutable and counted,
// so that a configuration can be exchanged while runs and readers still hold the one before.
#ifndef ALERTS_RULES_H
#define ALERTS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL };

// The built-in rules, in the order in which a step is judged: what is nearer to a cause comes
// before what it brings about. docs/alerting.md says what each means.
enum rule_id {
    RULE_LOSS_NONFINITE,
    RULE_SKIPPED_STEPS,
    RULE_UNACCOUNTED,
    RULE_FREEZING,
    RULE_LEARNING_RATE,
    RULE_QUENCHING,
    RULE_SHOCK,
    RULE_LOSS_SPIKE,
    RULE_DATA_SHIFT,
    RULE_UNSTABLE,
    RULE_OVERHEATING,
    RULE_LOSS_RISING,
    RULE_HEAT_DEATH,
    RULE_THERMAL_IMBALANCE,
    RULE_HEATING,
    RULE_PHASE_TRANSITION,
    RULE_EXPLODING_TENSOR,
    RULE_VANISHING_GRADIENT,
    RULE_DEAD_RELU,
    RULE_SATURATED_ACTIVATION,
    RULE_WEIGHT_UPDATE_RATIO,
    RULE_UNCHANGED_TENSOR,
    RULE_POOR_WEIGHT_INITIALIZATION,
    RULE_LOSS_NOT_DECREASING,
    RULE_OVERFIT,
    RULE_STALLED,
    RULE_COUNT
};

#define RULE_NAME_MAX 64 // bytes of a rule's name
#define RULES_OWN_MAX 32 // rules of the configuration's own that one run may have
#define RULES_MAX (RULE_COUNT + RULES_OWN_MAX)
#define RULE_WORDS_MAX 16 // labels, and annotations, of a rule

// A label or an annotation.
struct rule_word {
    const char *key, *value;
};

// A rule in force. A built-in one's defaults come from rule_default(); the configuration changes
// them. Figures that are num_missing() are no bound.
struct rule {
    const char *name;
    enum rule_id id;    // RULE_COUNT: one of the configuration's own, on `metric`
    const char *metric; // see metric.h; NULL for built-in rules
    bool enabled;
    enum severity severity;
    double fire_above;  // in the unit of the rule's value
    double clear_below; // hysteresis: a firing alert holds until the value falls below this
    double fire_below, clear_above; // the same downwards, for rules that look that way
    uint32_t for_steps;             // the condition must hold so many steps in a row to fire
    uint32_t keep_firing_steps;     // and be gone so many to resolve
    double for_seconds, keep_firing_seconds; // the same in time; both must be fulfilled
    uint32_t warmup_steps;                   // steps of a run that are not judged
    uint32_t window; // steps over which a rule of the configuration's own averages; 0: none
    const char *layer_glob, *run_glob, *project_glob;                     // NULL: every one
    struct rule_word labels[RULE_WORDS_MAX], annotations[RULE_WORDS_MAX]; // up to a NULL key
};

const char *rule_name(enum rule_id id);
bool rule_find(const char *name, enum rule_id *id);
// One sentence: what the rule means and what its value is, for people.
const char *rule_help(enum rule_id id);
// The series in which its matter is seen, as /series takes them: "stability,loss,lr".
const char *rule_reads(enum rule_id id);
// It is about the whole run only, never about a layer.
bool rule_is_of_run(enum rule_id id);
struct rule rule_default(enum rule_id id);
// Of a rule of the configuration's own: no bounds, severity warning, at once.
struct rule rule_own(const char *name, const char *metric);

const char *severity_name(enum severity s);

struct ruleset;

// The built-in rules as they are by default.
struct ruleset *ruleset_default(void);
// These rules, texts copied. Of several for one layer and run the last counts; a rule that names
// a layer leaves the other layers, and the whole run, to those before it of the same name.
struct ruleset *ruleset_create(const struct rule *rules, size_t n);
// Any thread may hold and release.
struct ruleset *ruleset_hold(struct ruleset *r);
void ruleset_release(struct ruleset *r);
size_t ruleset_count(const struct ruleset *r);
const struct rule *ruleset_rule(const struct ruleset *r, size_t i);

#endif
