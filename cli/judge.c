#include "cli/judge.h"

#include <stdlib.h>
#include <string.h>

#include "probes/output_probe.h"
#include "probes/phases.h"
#include "runs/view.h"
#include "wire/message.h"
#include "wire/outputs.h"

struct judge {
    struct ruleset *rules;
    struct hello hello;
    struct step step;
    struct thermo *thermo;
    struct alerts *alerts;
    struct phases phases;
    struct output_probe outputs;
    uint64_t steps;
    int64_t last;
    double time;
    size_t n, cap;
    struct verdict *verdicts;
};

struct judge *judge_create(struct ruleset *rules) {
    struct judge *j = NEW(struct judge);
    j->rules = ruleset_hold(rules);
    j->last = -1;
    step_init(&j->step);
    return j;
}

static void forget_run(struct judge *j) {
    thermo_destroy(j->thermo);
    alerts_destroy(j->alerts);
    output_probe_free(&j->outputs);
    j->thermo = NULL;
    j->alerts = NULL;
}

void judge_destroy(struct judge *j) {
    if (!j) {
        return;
    }
    forget_run(j);
    ruleset_release(j->rules);
    hello_free(&j->hello);
    step_free(&j->step);
    for (size_t i = 0; i < j->n; i++) {
        free(j->verdicts[i].summary);
    }
    free(j->verdicts);
    free(j);
}

static const char *layer_name(const struct judge *j, size_t layer) {
    return layer == THERMO_GLOBAL ? NULL : j->hello.layers[layer].name;
}

static bool is_same(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct verdict *find(struct judge *j, const struct alert_change *change) {
    for (size_t i = j->n; i-- > 0;) {
        struct verdict *v = &j->verdicts[i];
        if (v->since == change->since && is_same(v->rule, change->rule_name) &&
            is_same(v->layer, layer_name(j, change->layer))) {
            return v;
        }
    }
    return NULL;
}

static struct verdict *add(struct judge *j) {
    if (j->n == j->cap) {
        j->cap = j->cap ? 2 * j->cap : 16;
        j->verdicts = realloc(j->verdicts, j->cap * sizeof *j->verdicts);
        CHECK(j->verdicts != NULL);
    }
    struct verdict *v = &j->verdicts[j->n++];
    memset(v, 0, sizeof *v);
    return v;
}

// The rules' names outlive the alerts they belong to.
static const char *keep_name(const struct judge *j, const char *name) {
    enum rule_id id;
    if (rule_find(name, &id)) {
        return rule_name(id);
    }
    for (size_t i = 0; i < ruleset_count(j->rules); i++) {
        if (strcmp(ruleset_rule(j->rules, i)->name, name) == 0) {
            return ruleset_rule(j->rules, i)->name;
        }
    }
    return "";
}

static void take(void *context, const struct alert_change *change) {
    struct judge *j = context;
    if (change->state == ALERT_PENDING) {
        return;
    }
    struct verdict *v = find(j, change);
    if (change->state == ALERT_RESOLVED) {
        if (v) {
            v->resolved = j->last;
        }
        return;
    }
    int64_t warned = v ? v->warned : -1;
    if (warned < 0 && change->severity >= SEVERITY_WARNING) {
        warned = j->last;
    }
    v = v ? v : add(j);
    free(v->summary);
    *v = (struct verdict){
        .rule = keep_name(j, change->rule_name),
        .layer = layer_name(j, change->layer),
        .group_rule = keep_name(j, change->group_rule_name),
        .group_layer = layer_name(j, change->group_layer),
        .severity = change->severity,
        .since = change->since,
        .step = change->step,
        .group_since = change->group_since,
        .warned = warned,
        .resolved = -1,
        .value = change->value,
        .threshold = change->threshold,
        .summary = strdup(change->summary),
    };
}

static void begin_run(struct judge *j) {
    size_t n = j->hello.n_layers;
    double *sizes = must_alloc(n * sizeof *sizes);
    const char **names = must_alloc(n * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        sizes[i] = j->hello.layers[i].n;
        names[i] = j->hello.layers[i].name;
    }
    struct thermo_facts facts;
    run_thermo_facts(&j->hello, &facts);
    j->thermo = thermo_create(&facts, n, sizes);
    struct alerts_facts alert_facts = {
        .run = j->hello.run, .project = j->hello.project, .n_layers = n, .layer_names = names};
    j->alerts = alerts_create(j->rules, &alert_facts);
    phases_begin(&j->phases);
    output_probe_begin(&j->outputs);
    free(sizes);
    free(names);
}

// A recording may hold several hellos: the job went on, or went back to a checkpoint.
static int take_hello(struct judge *j, const char *line, size_t len, struct wire_error *error) {
    struct hello hello;
    if (hello_parse(&hello, line, len, error)) {
        return -1;
    }
    if (j->thermo && !hello_same_layers(&j->hello, &hello)) {
        hello_free(&hello);
        return wire_fail(error, WIRE_LAYERS_DIFFER,
                         "a second hello with other layers; what follows is judged by the first");
    }
    if (!j->thermo) {
        j->hello = hello;
        begin_run(j);
        return 0;
    }
    if (hello.rewind) {
        struct thermo_facts facts;
        run_thermo_facts(&hello, &facts);
        alerts_end(j->alerts, j->time, take, j);
        thermo_begin_segment(j->thermo, &facts);
        alerts_begin_segment(j->alerts);
        output_probe_begin(&j->outputs);
        phases_begin(&j->phases);
        j->last = hello.rewind_step;
    }
    hello_free(&hello);
    return 0;
}

static int take_step(struct judge *j, const char *line, size_t len, struct wire_error *error) {
    struct thermo_step view;
    if (step_parse(&j->step, line, len, j->hello.n_layers, error)) {
        return -1;
    }
    if (j->step.step <= j->last) {
        return 0; // repeated, as after a reconnection
    }
    j->last = j->step.step;
    j->time = j->step.time > 0 ? j->step.time : j->time;
    j->steps++;
    run_thermo_step(&j->step, &view);
    thermo_observe(j->thermo, &view);
    struct phase_change phases[PHASES_MAX];
    size_t n_phases = phases_add(&j->phases, j->thermo, j->step.loss, phases);
    for (size_t i = 0; i < n_phases; i++) {
        alerts_phase(j->alerts, &phases[i]);
    }
    struct alerts_input in;
    run_alerts_input(&j->step, &view, &in);
    in.time = j->time;
    alerts_observe(j->alerts, j->thermo, &in, take, j);
    return 0;
}

static int take_event(struct judge *j, const char *line, size_t len, struct wire_error *error) {
    struct event e;
    if (event_parse(&e, line, len, error)) {
        return -1;
    }
    if (strcmp(e.name, "data_refresh") == 0) {
        thermo_begin_state(j->thermo);
        phases_refresh(&j->phases);
        alerts_refresh(j->alerts);
    }
    event_free(&e);
    return 0;
}

static int take_outputs(struct judge *j, const char *line, size_t len, struct wire_error *error) {
    struct outputs o = {0};
    struct phase_change phase;
    bool changed;
    if (outputs_parse(&o, line, len, error)) {
        return -1;
    }
    if (output_probe_add(&j->outputs, o.step, o.bins, o.n_bins, o.counts, o.n_counts, &phase,
                         &changed)) {
        struct distribution_figure entropy = distribution_entropy_corrected(o.counts, o.n_counts);
        bool same_bins = j->outputs.windows == 1 || !j->outputs.jensen_shannon.reason;
        alerts_outputs(j->alerts, entropy.value, entropy.error, same_bins);
        if (changed) {
            alerts_phase(j->alerts, &phase);
        }
    }
    outputs_free(&o);
    return 0;
}

static int dispatch(struct judge *j, const char *line, size_t len, struct wire_error *error) {
    enum message_type type;
    if (message_type(line, len, &type, error)) {
        return -1;
    }
    if (type == MESSAGE_HELLO) {
        return take_hello(j, line, len, error);
    }
    if (!j->thermo) {
        return wire_fail(error, WIRE_NO_HELLO, "there is no hello before it");
    }
    switch (type) {
    case MESSAGE_STEP:
        return take_step(j, line, len, error);
    case MESSAGE_EVENT:
        return take_event(j, line, len, error);
    case MESSAGE_OUTPUTS:
        return take_outputs(j, line, len, error);
    case MESSAGE_END:
        alerts_end(j->alerts, j->time, take, j);
        return 0;
    case MESSAGE_HELLO:
    case MESSAGE_SCALARS:
    case MESSAGE_PING:
        break;
    }
    return 0;
}

int judge_line(struct judge *j, const char *line, size_t len, struct buf *message) {
    struct wire_error error;
    if (dispatch(j, line, len, &error) == 0) {
        return 0;
    }
    buf_puts(message, error.message);
    return -1;
}

const char *judge_run(const struct judge *j) {
    return j->thermo ? j->hello.run : "";
}

uint64_t judge_steps(const struct judge *j) {
    return j->steps;
}

int64_t judge_last(const struct judge *j) {
    return j->last;
}

size_t judge_count(const struct judge *j) {
    return j->n;
}

const struct verdict *judge_verdict(const struct judge *j, size_t i) {
    return &j->verdicts[i];
}
