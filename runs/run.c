#include "runs/run.h"

#include "base/memory.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define STEP_SECONDS_ALPHA 0.05
#define PACE_LEAP 10 // times the usual; what takes longer counts as this

static char *copy(const char *text) {
    return must_copy(text);
}

static void find_activations(struct run *r) {
    size_t n = r->hello.n_layers;
    free(r->activations);
    r->activations = must_alloc(n * sizeof *r->activations);
    for (size_t i = 0; i < n; i++) {
        r->activations[i] = activation_find(r->hello.layers[i].activation);
    }
}

// Instruments and alerts for the layers of r->hello.
static void create_instruments(struct run *r, struct ruleset *rules) {
    size_t n = r->hello.n_layers;
    double *sizes = must_alloc(n * sizeof *sizes);
    const char **names = must_alloc(n * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        sizes[i] = r->hello.layers[i].n;
        names[i] = r->hello.layers[i].name;
    }
    struct thermo_facts facts;
    run_thermo_facts(&r->hello, &facts);
    r->thermo = thermo_create(&facts, n, sizes);
    struct alerts_facts alert_facts = {
        .run = r->hello.run, .project = r->hello.project, .n_layers = n, .layer_names = names};
    r->alerts = alerts_create(rules, &alert_facts);
    free(sizes);
    free(names);
}

struct run *run_create(int64_t id, int64_t attempt, struct hello *hello, double now,
                       struct ruleset *rules) {
    struct run *r = NEW(struct run);
    r->hello = *hello;
    *hello = (struct hello){0};
    r->attempt = attempt;
    r->record = (struct run_record){
        .id = id,
        .name = copy(r->hello.run),
        .project = copy(r->hello.project),
        .started = now,
        .facts = copy(r->hello.facts),
        .progress = {.run = id,
                     .status = RUN_RUNNING,
                     .last_seen = now,
                     .first_step = -1,
                     .last_step = -1,
                     .loss = num_missing()},
    };
    create_instruments(r, rules);
    find_activations(r);
    readings_begin(&r->readings, r->hello.n_layers);
    balance_begin(&r->balance);
    output_probe_begin(&r->outputs);
    phases_begin(&r->course);
    return r;
}

size_t run_bytes(size_t n_layers) {
    return thermo_bytes(n_layers) + alerts_bytes(n_layers);
}

void run_destroy(struct run *r) {
    if (r) {
        thermo_destroy(r->thermo);
        alerts_destroy(r->alerts);
        balance_free(&r->balance);
        output_probe_free(&r->outputs);
        readings_free(&r->readings);
        free(r->activations);
        stepset_free(&r->steps);
        eventset_free(&r->events);
        hello_free(&r->hello);
        run_record_free(&r->record);
        free(r);
    }
}

// What the instruments' windows depend on. The learning rate and the batch size are not part of it:
// they change along a run, and steps bring their own.
static bool same_physics(const struct hello *a, const struct hello *b) {
    struct thermo_facts x, y;
    run_thermo_facts(a, &x);
    run_thermo_facts(b, &y);
    return x.optimizer == y.optimizer && x.nesterov == y.nesterov &&
           !(x.momentum < y.momentum || x.momentum > y.momentum) &&
           !(x.beta1 < y.beta1 || x.beta1 > y.beta1) && !(x.beta2 < y.beta2 || x.beta2 > y.beta2) &&
           !(x.weight_decay < y.weight_decay || x.weight_decay > y.weight_decay);
}

enum run_join run_join(const struct run *r, const struct hello *hello, int64_t *rewind_step) {
    bool same_layers = hello_same_layers(&r->hello, hello);
    if (hello->rewind) {
        *rewind_step = hello->rewind_step;
        return RUN_JOIN_NEW_ATTEMPT;
    }
    if (!same_layers) {
        // A finished run's name taken for another network: it begins anew, the old history is kept.
        *rewind_step = -1;
        return run_status_is_end(r->record.progress.status) ? RUN_JOIN_NEW_ATTEMPT
                                                            : RUN_JOIN_REFUSED;
    }
    *rewind_step = stepset_last(&r->steps);
    return same_physics(&r->hello, hello) ? RUN_JOIN_CONTINUE : RUN_JOIN_NEW_ATTEMPT;
}

static void update_progress(struct run *r) {
    r->record.progress.first_step = stepset_first(&r->steps);
    r->record.progress.last_step = stepset_last(&r->steps);
    r->record.progress.n_steps = r->steps.count;
}

static void ignore_change(void *context, const struct alert_change *change) {
    (void)context;
    (void)change;
}

void run_begin_attempt(struct run *r, int64_t attempt, struct hello *hello, int64_t rewind_step,
                       struct ruleset *rules, alert_change_fn *changed, void *context) {
    bool same_layers = hello_same_layers(&r->hello, hello);
    // Before the attempt's number changes: an alert is known by the attempt in which it began.
    alerts_end(r->alerts, r->time, changed ? changed : ignore_change, context);
    r->attempt = attempt;
    stepset_truncate(&r->steps, rewind_step);
    eventset_free(&r->events);
    update_progress(r);
    hello_free(&r->hello);
    r->hello = *hello;
    *hello = (struct hello){0};
    free(r->record.facts);
    r->record.facts = copy(r->hello.facts);
    free(r->record.project);
    r->record.project = copy(r->hello.project);
    if (same_layers) {
        struct thermo_facts facts;
        run_thermo_facts(&r->hello, &facts);
        thermo_begin_segment(r->thermo, &facts);
        alerts_begin_segment(r->alerts);
    } else {
        thermo_destroy(r->thermo);
        alerts_destroy(r->alerts);
        create_instruments(r, rules);
    }
    find_activations(r);
    readings_begin(&r->readings, r->hello.n_layers);
    balance_begin(&r->balance);
    output_probe_begin(&r->outputs);
    phases_begin(&r->course);
}

enum run_place run_place(const struct run *r, int64_t step) {
    if (step > stepset_last(&r->steps)) {
        return RUN_STEP_NEW;
    }
    return stepset_has(&r->steps, step) ? RUN_STEP_REPEATED : RUN_STEP_MISPLACED;
}

// The job's clock, or ours, may leap: no step moves the pace by more than its usual weight.
static void follow_pace(struct run *r, double time, int64_t steps) {
    double seconds = (time - r->time) / (double)(steps > 0 ? steps : 1);
    if (r->time > 0 && seconds > 0) {
        double most = PACE_LEAP * r->step_seconds;
        r->step_seconds =
            r->step_seconds > 0
                ? r->step_seconds +
                      STEP_SECONDS_ALPHA * ((seconds < most ? seconds : most) - r->step_seconds)
                : seconds;
    }
    r->time = time;
}

static void tell_phases(struct run *r) {
    for (size_t i = 0; i < r->n_phases; i++) {
        alerts_phase(r->alerts, &r->phases[i]);
    }
}

void run_observe(struct run *r, const struct step *step, alert_change_fn *changed, void *context) {
    struct thermo_step view;
    run_thermo_step(step, &view);
    r->n_phases = 0;
    follow_pace(r, step->time, r->steps.n ? step->step - stepset_last(&r->steps) : 1);
    stepset_add(&r->steps, step->step);
    r->record.progress.loss = step->loss;
    r->record.progress.status = RUN_RUNNING;
    r->record.progress.end_time = 0;
    update_progress(r);
    thermo_observe(r->thermo, &view);
    readings_observe(&r->readings, r->thermo);
    balance_observe(&r->balance, step->step, step->loss);
    r->n_phases = phases_add(&r->course, r->thermo, step->loss, r->phases);
    tell_phases(r);
    struct alerts_input in;
    run_alerts_input(step, &view, &in);
    alerts_observe(r->alerts, r->thermo, &in, changed ? changed : ignore_change, context);
}

bool run_outputs(struct run *r, const struct outputs *o) {
    bool changed;
    r->n_phases = 0;
    if (!output_probe_add(&r->outputs, o->step, o->bins, o->n_bins, o->counts, o->n_counts,
                          &r->phases[0], &changed)) {
        return false;
    }
    r->n_phases = changed;
    r->n_outputs++;
    struct distribution_figure entropy = distribution_entropy_corrected(o->counts, o->n_counts);
    bool same_bins = r->outputs.windows == 1 || !r->outputs.jensen_shannon.reason;
    alerts_outputs(r->alerts, entropy.value, entropy.error, same_bins);
    tell_phases(r);
    return true;
}

static void put_number(struct buf *out, const char *key, double x) {
    char text[NUM_TEXT_MAX];
    num_format(text, x);
    buf_printf(out, ",\"%s\":%s", key, text);
}

void run_phase_json(const struct phase_change *p, struct buf *out) {
    buf_printf(out, "{\"what\":\"%s\",\"found\":%lld", phase_what_name(p->what),
               (long long)p->found);
    put_number(out, "probability", p->probability);
    put_number(out, "before", p->before);
    put_number(out, "after", p->after);
    buf_putc(out, '}');
}

void run_event(struct run *r, const char *name) {
    r->n_events++;
    if (strcmp(name, "data_refresh") == 0) {
        balance_refresh(&r->balance, r->thermo);
        thermo_begin_state(r->thermo);
        phases_refresh(&r->course);
        alerts_refresh(r->alerts);
    }
}

// The saved state: this head, the set of steps, the balance, the outputs, the
// phases' courses, the readings over time, the thermometers, the alerts.
struct saved_head {
    char magic[8];
    int64_t attempt, n_events, n_outputs;
    double time, step_seconds;
    struct run_progress progress;
    uint64_t thermo_size, alerts_size;
};

static const char magic[8] = "pyrun\0\0\6";

void run_save(const struct run *r, struct buf *out) {
    struct saved_head head = {.attempt = r->attempt,
                              .n_events = r->n_events,
                              .n_outputs = r->n_outputs,
                              .time = r->time,
                              .step_seconds = r->step_seconds,
                              .progress = r->record.progress,
                              .thermo_size = thermo_saved_size(r->thermo),
                              .alerts_size = alerts_saved_size(r->alerts)};
    memcpy(head.magic, magic, sizeof magic);
    buf_put(out, &head, sizeof head);
    stepset_save(&r->steps, out);
    balance_save(&r->balance, r->hello.n_layers, out);
    output_probe_save(&r->outputs, out);
    phases_save(&r->course, out);
    readings_save(&r->readings, out);
    char *to = buf_reserve(out, head.thermo_size + head.alerts_size);
    if (to) {
        thermo_save(r->thermo, to);
        alerts_save(r->alerts, to + head.thermo_size);
        out->len += head.thermo_size + head.alerts_size;
    }
}

// What is loaded beside the run, to take the place of its own once all of it is good.
struct loaded {
    struct stepset steps;
    struct balance balance;
    struct output_probe outputs;
    struct phases course;
    struct readings readings;
};

static void free_loaded(struct loaded *l) {
    stepset_free(&l->steps);
    balance_free(&l->balance);
    output_probe_free(&l->outputs);
    readings_free(&l->readings);
}

static bool load_parts(struct run *r, const struct saved_head *head, struct loaded *l,
                       const char *p, size_t left) {
    size_t n = stepset_load(&l->steps, p, left);
    size_t more = n ? balance_load(&l->balance, r->hello.n_layers, p + n, left - n) : 0;
    n += more;
    more = more ? output_probe_load(&l->outputs, p + n, left - n) : 0;
    n += more;
    more = more ? phases_load(&l->course, p + n, left - n) : 0;
    n += more;
    more = more ? readings_load(&l->readings, r->hello.n_layers, p + n, left - n) : 0;
    n += more;
    if (!more || head->thermo_size != thermo_saved_size(r->thermo) ||
        left - n != head->thermo_size + head->alerts_size) {
        return false;
    }
    return thermo_load(r->thermo, p + n, head->thermo_size) &&
           alerts_load(r->alerts, p + n + head->thermo_size, head->alerts_size);
}

bool run_load(struct run *r, const void *bytes, size_t size) {
    struct saved_head head;
    struct loaded loaded = {0};
    if (size < sizeof head) {
        return false;
    }
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0) {
        return false;
    }
    if (!load_parts(r, &head, &loaded, (const char *)bytes + sizeof head, size - sizeof head)) {
        free_loaded(&loaded);
        return false;
    }
    stepset_free(&r->steps);
    balance_free(&r->balance);
    output_probe_free(&r->outputs);
    readings_free(&r->readings);
    r->steps = loaded.steps;
    r->balance = loaded.balance;
    r->outputs = loaded.outputs;
    r->course = loaded.course;
    r->readings = loaded.readings;
    r->attempt = head.attempt;
    r->n_events = head.n_events;
    r->n_outputs = head.n_outputs;
    r->time = head.time;
    r->step_seconds = head.step_seconds;
    // Status and times are what the store says now; only what the steps made is taken from here.
    r->record.progress.loss = head.progress.loss;
    update_progress(r);
    return true;
}
