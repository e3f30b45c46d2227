// The inside of struct alerts, shared by the files of this directory.
//
// What is saved is flat: one struct watch, then one struct scope a layer, then the layers' lives,
// then the averages of the configuration's own rules.
#ifndef ALERTS_STATE_H
#define ALERTS_STATE_H

#include "alerts/alerts.h"
#include "alerts/baseline.h"
#include "alerts/books.h"
#include "alerts/cusum.h"
#include "alerts/level.h"
#include "alerts/life.h"
#include "alerts/metric.h"
#include "alerts/robust_z.h"
#include "alerts/spot.h"
#include "alerts/stair.h"
#include "alerts/text.h"

// A series of which only sudden rises matter: its slow trend is taken off, the rest is scored.
struct detrended {
    double trend;
    uint32_t count, held; // held: values kept out in a row
    struct robust_z window;
};

// How far the learning rate lies above what the run has shown to bear.
struct pace {
    double lr;       // of this step, NaN when unknown
    double highest;  // in this attempt
    double proven;   // 0 until the learning rate's own warm-up is over
    uint32_t flat;   // steps since it last rose above the highest
    uint32_t rising; // steps in a row in which it rose
    double usual;    // an average of the last steps' logarithms
    double jump;     // over the step before, where it goes beyond what the run has borne; else 1
    double share;    // by which its logarithm grew at the first of the steps that grew alike
    double from;     // the learning rate before these
    uint32_t steady; // such steps in a row
    uint32_t reserved;
    bool restarts; // this step: far above the usual, and no higher than the run has borne
};

// The movement of a layer per learning rate: averages of |dw|^2 and of the learning rate's square.
struct movement {
    double update2, lr2;
    double heat; // the logarithm of their ratio
    uint32_t held, reserved;
    struct robust_z window;
};

// The scales of a layer that may jump, as logarithms: gradient, update per learning rate, outputs.
#define JUMPS_FLOOR 0.05 // of their scatter
#define JUMPS_FAR 3.     // twenty times
enum channel { CHANNEL_GRADIENT, CHANNEL_UPDATE, CHANNEL_OUTPUT, CHANNELS };

// The layer whose gradient lies the furthest above its level. What a batch does to the gradient it
// does to that of every layer, so that how far one goes beyond the next is far steadier than
// either: in 290,000 steps of healthy recordings it was never tenfold.
struct lead {
    double first, second; // of the newest step's logarithms
    uint64_t layer;
    struct level gap; // from the second, or its own level where that is higher
};

// The steps in a row in which a layer got no gradient, exactly none.
struct stillness {
    uint32_t steps, longest; // now; the longest that ended
    uint32_t moving;         // steps with a gradient, ever
    uint32_t reserved;
};

#define GAIN_BLOCKS 16 // as many as the slow change looks back
enum gain_span { GAIN_FAST, GAIN_SLOW, GAIN_SPANS };

struct gain_change {
    double spread, z; // the usual change; the newest in units of it
    uint32_t learnt, held;
};

// What a layer makes of its input: log(outputs / weights), in means of blocks.
struct gain {
    double sum, blocks[GAIN_BLOCKS]; // of the block being filled; the newest complete ones
    uint32_t filled, n;
    struct gain_change of[GAIN_SPANS];
};

// How much of a layer's weights is lost, little by little: the sum of the fall of their size's
// logarithm over the last 64 steps, about. Decay that is part of the run shows itself from the
// start and is in proportion to the learning rate.
struct dwindling {
    double lost;  // of the logarithm
    double usual; // the same, what there was of it, per sum of learning rates over as many steps
};

#define SCOPE_LIVES 8 // alerts of one layer that may be open, or remembered, at once

// What every step touches, and nothing else: with many runs it comes from memory at each of them.
struct scope {
    struct level jumps[CHANNELS];
    float fell;          // z of how far its outputs lay below their level at the step before
    float alone;         // of its gradient's lead where that is far, weighted; else 0
    struct level growth; // of the weights' size a step, per learning rate
    struct dwindling dwindling;
    double weight_rms;  // of the newest step, NaN when not sent
    double unaccounted; // the newest of the books
    struct books books;
    struct stillness still;
    struct baseline stability;
    uint64_t open; // a bit a rule: one of the layer's lives is of it and not idle
    bool shrinks;  // by more than rounding and noise would have it
    struct movement movement;
};

struct scope_lives {
    struct life of[SCOPE_LIVES];
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

#define SKIPS_STEPS 200

// Which of the newest steps the optimizer did not take, a bit each.
struct skips {
    uint64_t bits[(SKIPS_STEPS + 63) / 64];
    uint32_t next, count;
};

// How far the run has come: its loss beside the one that it began with. A run that has learnt its
// data by heart has losses that vary a hundredfold from batch to batch, made of the one sample
// that is not quite learnt, and so have its gradients; whatever they do down there is no fault.
struct course {
    double first; // mean of the logarithms of the first losses
    double now;   // an average of the last losses
    uint32_t count;
    uint32_t by_heart; // the loss is next to nothing beside the first
};

#define LOSS_SUFFERS 5 // of the cumulative sum of loss_rising: evidence for other rules

// A loss that rises slowly: the sum of what lies above its level, see cusum.h.
struct rising {
    struct level level; // quick to follow a loss that falls
    double slow;        // an average that takes twice as long
    struct cusum sum;
    double fast, least; // of the loss: an average of some ten steps, and its minimum
};

// The outputs between two data refreshes: their entropy, over the histograms that came.
struct generation {
    uint64_t windows;
    double mean, square; // nats; sum of squares about the mean
    double noise;        // sum of the squared standard errors that come of counting
};

// The entropy of the outputs from generation to generation.
struct collapse {
    struct generation now, last; // unfinished; the newest that is complete
    double start, start_error;   // where the fall began: its entropy and the square of its error
    double least;                // the lowest since
    double rise;                 // the largest between two generations, slowly forgotten
    uint32_t falls;              // in a row
    uint32_t established;        // it is a fall and not noise
};

// What Debugger's rules of the whole run remember.
struct progress {
    double sum, last; // of the losses of the block being filled; the average of the one before
    double train;     // an average of some fifty losses
    double first, variances; // the first loss; the widest of weights over the narrowest there
    uint32_t filled, blocks;
};

struct watch {
    int64_t step; // the newest, -1 before the first
    double time;
    uint64_t seen; // finite steps of this attempt
    struct nonfinite nonfinite;
    struct skips skips;
    struct detrended loss, gradient;
    bool signed_loss;   // a loss was below zero: losses are judged as they are, not by logarithm
    struct spot tail;   // of the losses' distances from their trend
    struct stair stair; // of the losses' logarithms
    double lone, lone_loss; // the newest distance, not yet in the tail, and its loss
    uint64_t has_lone;
    double highest_lone;  // of the losses that stood alone, slowly forgotten
    uint32_t spike_steps; // since the spike's alert fired
    double loss_z;        // of the newest loss
    struct course course;
    struct lead lead;
    struct gain gain; // of the first layer that sends outputs
    struct rising rising;
    struct collapse collapse;
    struct level imbalance;    // of the layers' temperatures
    struct phase_change phase; // the newest
    uint64_t phase_is_new;     // not yet judged
    struct progress progress;
    uint32_t still_layers; // without a gradient at this step, of those that had one before
    uint32_t live_layers;  // with one
    struct pace pace;
    double lr_sum;        // over the last 64 steps, about
    double batch;         // logarithm of the batch size in the windows
    uint32_t batch_steps; // with another batch size, in a row
    // The newest group of alerts: its first one and the step at which that fired.
    uint32_t group_rule;
    uint64_t group_layer;
    int64_t group_since, group_fired;
    struct life lives[RULES_MAX];                     // of the whole run, by rule
    struct crowd crowds[RULE_COUNT];                  // of the newest step
    char own_names[RULES_OWN_MAX][RULE_NAME_MAX + 1]; // "": no rule of the configuration's own
};

// The average of a rule of the configuration's own.
struct own {
    double mean;
    uint64_t count;
};

// The mean squares of a layer at the step that is judged; NaN where not sent.
struct sizes {
    double gradient2, update2, weight2;
    double update_rms;
};

_Static_assert(RULES_MAX <= 64, "a bit each in a scope's `open`");

#define NO_RULE UINT16_MAX

struct alerts {
    struct ruleset *rules;
    char *run, *project;
    size_t n_layers;
    char **names;
    // Which rule of the ruleset counts: [rule number][layer, then the whole run].
    uint16_t *pick;
    bool is_common[RULES_MAX]; // the same for every layer
    struct metric_source sources[RULES_OWN_MAX];
    struct watch watch;
    struct scope *scopes;      // of the layers
    struct scope_lives *lives; // likewise
    size_t open;               // layers with one that is not idle
    struct own *own;           // [own rule][layer, then the whole run]
    unsigned n_own;            // rows of it
    struct finding *findings;  // scratch, of the layers
    struct sizes *sizes;       // likewise
};

// The rule of that number that is in force for a layer (n_layers: the whole run), or NULL.
const struct rule *rule_for(const struct alerts *a, unsigned rule, size_t index);
const char *rule_name_of(const struct alerts *a, unsigned rule);
// Works out `pick` for the ruleset, and numbers the rules of the configuration's own.
void pick_rules(struct alerts *a);
// Room for so many of them; `pick` is void until it is worked out again.
void make_room(struct alerts *a, unsigned n_own);
// The highest number of those in use, plus one.
unsigned own_used(const struct watch *w);

// Where changes go while one step is judged.
struct teller {
    struct alerts *a;
    double time;
    alert_change_fn *changed;
    void *context;
};

// The alert of that rule at a layer (n_layers: the whole run); NULL when there is none. With
// `wanted` a place is made for one, unless a layer has too many.
struct life *life_find(struct alerts *a, unsigned rule, size_t index, bool wanted);
// Whether the rule's alert at the layer is not idle.
bool is_open(const struct alerts *a, unsigned rule, size_t layer);
// Of the layer's lives one may have begun or ended.
void lives_changed(struct alerts *a, size_t layer);
// What a rule found at a layer goes to the life of its alert, and what changes is told.
void tell_finding(const struct teller *to, unsigned rule, size_t index, const struct finding *f);
void tell_event(const struct teller *to, size_t index, struct life *l, enum life_event event);
// Ends alerts that are open: all, or only those that are pending.
void tell_end(const struct teller *to, unsigned rule, size_t index);
void tell_end_all(const struct teller *to, bool only_pending);

// What a rule judges at one step.
struct look {
    struct alerts *a;
    struct scope *scope; // of the layer; NULL for the whole run
    size_t layer;
    const struct rule *rule;
    bool warmed_up;
    const struct thermo *thermo;
    const struct alerts_input *in;
};

// The whole run is judged once a step; layers are judged each, and what most of them find is the
// whole run's (CROWD: nothing but that); some find by their own way (APART).
enum reach { REACH_RUN, REACH_LAYERS, REACH_CROWD, REACH_APART };

// A sentence's subject, besides the alert itself.
struct story {
    const char *layer; // NULL: the whole run
    const struct alerts *a;
    const struct scope *scope; // NULL for the whole run
    const struct crowd *crowd; // of a rule that judges layer by layer
};

// What is built in of a rule. builtin.c has the table.
struct builtin {
    const char *name, *help;
    const char *reads; // the series in which the matter is seen, with commas
    enum reach reach;
    void (*look)(const struct look *look, struct finding *f); // NULL where it finds apart
    void (*describe)(struct text *t, const struct life *l, const struct story *story);
    const char *was; // "%s was ...": what is said when it is over
    struct rule initial;
};
extern const struct builtin builtins[RULE_COUNT];

// Whether the statistics of a step can be used; else n->layer and what say where the fault began.
bool nonfinite_observe(struct nonfinite *n, const struct thermo_step *step, size_t n_layers);
void nonfinite_describe(struct text *t, const struct life *l, const struct story *story);

// Whether the newest step is one that the optimizer did not take and that is no fault by itself.
bool skipped_judge(const struct teller *to, const struct thermo *t, double loss);
void skipped_describe(struct text *t, const struct life *l, const struct story *story);

// Scores x and then takes it in, unless hold, which keeps a suspect value out.
double detrended_score(const struct detrended *d, double x);
void detrended_add(struct detrended *d, double x, bool hold);
void spike_look(const struct look *look, struct finding *f);
void spike_describe(struct text *t, const struct life *l, const struct story *story);

void pace_observe(struct pace *p, double lr, bool warmed_up);
// How many times the proven learning rate the present one is; at least 1.
double pace_excess(const struct pace *p);

void unstable_look(const struct look *look, struct finding *f);
void unstable_describe(struct text *t, const struct life *l, const struct story *story);
void overheating_look(const struct look *look, struct finding *f);
void overheating_describe(struct text *t, const struct life *l, const struct story *story);
// The rule's, but of a loss next to nothing: info.
enum severity severity_here(const struct look *look);
// Whether the loss rises, and not only from nothing to next to nothing.
bool loss_suffers(const struct watch *w);
// Takes a step into the instruments of every layer; the rules read them.
void measure_layers(struct alerts *a, const struct thermo_step *step);
// Behind a rewind what has a scale begins anew.
void measure_begin(struct scope *s);
// At another batch size scales have other levels, and the scatter is so many times as wide.
void measure_move(struct scope *s, double widen);
void unaccounted_look(const struct look *look, struct finding *f);
void unaccounted_describe(struct text *t, const struct life *l, const struct story *story);
void freezing_look(const struct look *look, struct finding *f);
void freezing_describe(struct text *t, const struct life *l, const struct story *story);
void learning_rate_look(const struct look *look, struct finding *f);
void learning_rate_describe(struct text *t, const struct life *l, const struct story *story);
void quenching_look(const struct look *look, struct finding *f);
void quenching_describe(struct text *t, const struct life *l, const struct story *story);
void shock_look(const struct look *look, struct finding *f);
void shock_describe(struct text *t, const struct life *l, const struct story *story);
void data_shift_look(const struct look *look, struct finding *f);
void data_shift_describe(struct text *t, const struct life *l, const struct story *story);
void heat_death_look(const struct look *look, struct finding *f);
void heat_death_describe(struct text *t, const struct life *l, const struct story *story);
void loss_rising_look(const struct look *look, struct finding *f);
void loss_rising_describe(struct text *t, const struct life *l, const struct story *story);
void stalled_describe(struct text *t, const struct life *l, const struct story *story);

void thermal_imbalance_look(const struct look *look, struct finding *f);
void thermal_imbalance_describe(struct text *t, const struct life *l, const struct story *story);
void phase_transition_look(const struct look *look, struct finding *f);
void phase_transition_describe(struct text *t, const struct life *l, const struct story *story);
void heating_look(const struct look *look, struct finding *f);
void heating_describe(struct text *t, const struct life *l, const struct story *story);
// SageMaker Debugger's, debugger.c and progress.c.
void exploding_tensor_describe(struct text *t, const struct life *l, const struct story *story);
void vanishing_gradient_look(const struct look *look, struct finding *f);
void vanishing_gradient_describe(struct text *t, const struct life *l, const struct story *story);
void dead_relu_look(const struct look *look, struct finding *f);
void dead_relu_describe(struct text *t, const struct life *l, const struct story *story);
void saturated_activation_look(const struct look *look, struct finding *f);
void saturated_activation_describe(struct text *t, const struct life *l, const struct story *story);
void weight_update_ratio_look(const struct look *look, struct finding *f);
void weight_update_ratio_describe(struct text *t, const struct life *l, const struct story *story);
void unchanged_tensor_look(const struct look *look, struct finding *f);
void unchanged_tensor_describe(struct text *t, const struct life *l, const struct story *story);
void poor_weight_initialization_look(const struct look *look, struct finding *f);
void poor_weight_initialization_describe(struct text *t, const struct life *l,
                                         const struct story *story);
void loss_not_decreasing_look(const struct look *look, struct finding *f);
void loss_not_decreasing_describe(struct text *t, const struct life *l, const struct story *story);
void overfit_look(const struct look *look, struct finding *f);
void overfit_describe(struct text *t, const struct life *l, const struct story *story);

// x against the bounds of the rule, above and below.
void bounds_judge(const struct look *look, double x, struct finding *f);
// A rule of the configuration's own, number RULE_COUNT + own.
void own_look(const struct look *look, unsigned own, size_t index, struct finding *f);

void crowd_add(struct crowd *c, const struct finding *f);
struct finding crowd_finding(const struct crowd *c);

void summary_write(char text[ALERT_SUMMARY_MAX], unsigned rule, const struct life *l,
                   enum life_event event, const struct story *story);

#endif
