// A run that lives as in the daemon: what it observes goes to the store as well, so that what is
// rebuilt from there can be compared with it.
#ifndef TESTS_SUPPORT_RUN_CASE_H
#define TESTS_SUPPORT_RUN_CASE_H

#include "runs/run.h"
#include "tests/unit/support/store_case.h"

#define RUN_ID 5

struct trainer {
    struct run *run;
    struct ruleset *rules;
    uint64_t seed;
    int64_t next_attempt;
    double clock;
};

static inline struct hello hello_of(const char *line) {
    struct hello h;
    struct wire_error error;
    ck_assert_msg(hello_parse(&h, line, strlen(line), &error) == 0, "%s: %s", line, error.message);
    return h;
}

#define LAYERS_3                                                                                   \
    "\"layers\":[{\"name\":\"a\",\"n\":100},{\"name\":\"b\",\"n\":2000},{\"name\":\"c\",\"n\":10}" \
    "]"
#define LAYERS_2 "\"layers\":[{\"name\":\"a\",\"n\":100},{\"name\":\"x\",\"n\":7}]"
#define HELLO(optimizer, more, layers)                                                             \
    "{\"type\":\"hello\",\"protocol\":1,\"run\":\"r\",\"project\":\"p\",\"batch_size\":64,"        \
    "\"optimizer\":{" optimizer "\"lr\":0.1}," more layers "}"
#define SGD "\"name\":\"sgd\","
#define SGD_MOMENTUM "\"name\":\"sgd\",\"momentum\":0.9,"

static inline void store_progress(const struct trainer *t) {
    OK(store_put_progress(store, &t->run->record.progress));
}

static inline void store_attempt(struct trainer *t, int64_t rewind_step, bool is_rewind) {
    struct attempt_record a = {.id = t->run->attempt,
                               .run = RUN_ID,
                               .rewind_step = rewind_step,
                               .is_rewind = is_rewind,
                               .facts = t->run->record.facts};
    OK(store_put_run(store, &t->run->record));
    OK(store_put_attempt(store, &a));
}

static inline void trainer_start(struct trainer *t, const char *line, uint64_t seed) {
    struct hello h = hello_of(line);
    *t = (struct trainer){.seed = seed, .next_attempt = 11, .clock = 1000};
    t->rules = ruleset_default();
    t->run = run_create(RUN_ID, 10, &h, t->clock, t->rules);
    store_attempt(t, -1, false);
}

static inline void trainer_stop(struct trainer *t) {
    run_destroy(t->run);
    ruleset_release(t->rules);
}

// Statistics as a training's might be: variances above zero, now and then a gap or a NaN.
static inline void make_training_step(struct trainer *t, struct step *s, int64_t number) {
    size_t n_layers = t->run->hello.n_layers;
    step_clear(s, n_layers);
    s->step = number;
    t->clock += 0.5 + 0.25 * random_unit(&t->seed);
    s->time = t->clock;
    s->loss = 2 / (1 + 0.01 * (double)number) + 0.05 * random_unit(&t->seed);
    s->lr = 0.1;
    s->batch_size = 64;
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        bool is_positive = strstr(stat_name(id), "var") || id >= STAT_A_ACTIVE;
        double *values = step_add_column(s, (enum statistic)id, NULL, 0);
        for (size_t l = 0; l < n_layers; l++) {
            double x = 0.1 * random_unit(&t->seed);
            values[l] = is_positive ? 0.01 + x * x : x;
        }
    }
    size_t odd = random_below(&t->seed, 40);
    if (odd < 2) {
        s->columns[random_below(&t->seed, s->n_columns)].values[0] =
            odd ? num_missing() : (double)NAN;
    }
}

static inline void trainer_event(struct trainer *t, const char *name) {
    put_event(RUN_ID, t->run->attempt, -1, stepset_last(&t->run->steps), name);
    run_event(t->run, name);
}

static inline void trainer_phases(struct trainer *t) {
    for (size_t i = 0; i < t->run->n_phases; i++) {
        trainer_event(t, RUN_PHASE_EVENT);
    }
}

// One more step, `gap` behind the newest.
static inline void trainer_step(struct trainer *t, int64_t gap) {
    struct step s;
    step_init(&s);
    int64_t number = stepset_last(&t->run->steps) + gap;
    make_training_step(t, &s, number);
    ck_assert_int_eq(run_place(t->run, number), RUN_STEP_NEW);
    run_observe(t->run, &s, NULL, NULL);
    t->run->record.progress.last_seen = t->clock + 0.125;
    put_step(t->run->attempt, &s);
    trainer_phases(t);
    store_progress(t);
    step_free(&s);
}

// A histogram of outputs behind the newest step, with the events that follow from it.
static inline void trainer_outputs(struct trainer *t, int64_t step) {
    double bins[] = {0, 1, 2}, counts[] = {1, 0, 0};
    counts[1] = (double)random_below(&t->seed, 100);
    counts[2] = (double)random_below(&t->seed, 100);
    struct outputs o = {.step = step, .n_bins = 3, .n_counts = 3, .bins = bins, .counts = counts};
    struct buf line = new_buf();
    outputs_print(&o, &line);
    struct outputs_record record = {.run = RUN_ID,
                                    .attempt = t->run->attempt,
                                    .step = step,
                                    .after_step = stepset_last(&t->run->steps),
                                    .after_events = t->run->n_events,
                                    .line = line.data};
    line.data[--line.len] = '\0';
    if (run_outputs(t->run, &o)) {
        OK(store_put_outputs(store, &record));
        trainer_phases(t);
    }
    buf_free(&line);
}

static inline void trainer_end(struct trainer *t, enum run_status status) {
    t->run->record.progress.status = status;
    t->run->record.progress.end_time = t->clock;
    store_progress(t);
}

// Another hello, with whatever follows from it.
static inline enum run_join trainer_hello(struct trainer *t, const char *line) {
    struct hello h = hello_of(line);
    int64_t rewind_step = INT64_MIN;
    enum run_join join = run_join(t->run, &h, &rewind_step);
    if (join == RUN_JOIN_NEW_ATTEMPT) {
        bool is_rewind = h.rewind || !hello_same_layers(&t->run->hello, &h);
        run_begin_attempt(t->run, t->next_attempt++, &h, rewind_step, t->rules, NULL, NULL);
        store_attempt(t, rewind_step, is_rewind);
    }
    if (join != RUN_JOIN_REFUSED) {
        t->run->record.progress.status = RUN_RUNNING;
        t->run->record.progress.end_time = 0;
        store_progress(t);
    }
    hello_free(&h);
    return join;
}

static inline enum run_join trainer_rewind(struct trainer *t, int64_t to) {
    char line[400];
    snprintf(line, sizeof line, HELLO(SGD, "\"resume\":{\"rewind\":%lld},", LAYERS_3),
             (long long)to);
    return trainer_hello(t, line);
}

static inline void trainer_checkpoint(const struct trainer *t) {
    struct buf bytes = new_buf();
    run_save(t->run, &bytes);
    OK(store_put_checkpoint(store, RUN_ID, t->run->attempt, stepset_last(&t->run->steps),
                            bytes.data, bytes.len));
    buf_free(&bytes);
}

// -- comparing -----------------------------------------------------------------------------------

static inline bool is_same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static inline void assert_same_reading(const struct reading *a, const struct reading *b) {
    bool same_interval = a->has_interval == b->has_interval &&
                         (!a->has_interval || (bits_of(a->low) == bits_of(b->low) &&
                                               bits_of(a->high) == bits_of(b->high)));
    if (bits_of(a->value) != bits_of(b->value) || !same_interval ||
        !is_same_text(a->reason, b->reason) || !is_same_text(a->no_interval, b->no_interval)) {
        ck_abort_msg("%a (%a to %a, %s) is not %a (%a to %a, %s)", a->value, a->low, a->high,
                     a->reason ? a->reason : "-", b->value, b->low, b->high,
                     b->reason ? b->reason : "-");
    }
}

static inline void assert_same_thermo(const struct thermo *a, const struct thermo *b) {
    size_t n = thermo_layers(a);
    ck_assert_uint_eq(n, thermo_layers(b));
    ck_assert_uint_eq(thermo_state(a), thermo_state(b));
    ck_assert_int_eq(thermo_step_seen(a), thermo_step_seen(b));
    for (size_t l = 0; l <= n; l++) {
        struct reading x[METRIC_COUNT], y[METRIC_COUNT];
        thermo_read(a, l < n ? l : THERMO_GLOBAL, x);
        thermo_read(b, l < n ? l : THERMO_GLOBAL, y);
        for (unsigned m = 0; m < METRIC_COUNT; m++) {
            assert_same_reading(&x[m], &y[m]);
        }
    }
}

#endif
