// A run: what a second hello means, where a step belongs, and that a run rebuilt from the store is
// the one that lived, to the last bit.
#include "runs/snapshot.h"
#include "tests/unit/support/run_case.h"

#include <pthread.h>

static void assert_same_stepset(const struct stepset *a, const struct stepset *b) {
    ck_assert_int_eq(a->count, b->count);
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        ck_assert_mem_eq(&a->ranges[i], &b->ranges[i], sizeof *a->ranges);
    }
}

static void assert_same_record(const struct run_record *a, const struct run_record *b) {
    ck_assert_int_eq(a->id, b->id);
    ck_assert_str_eq(a->name, b->name);
    ck_assert_str_eq(a->project, b->project);
    ck_assert_str_eq(a->facts, b->facts);
    ASSERT_SAME_BITS(a->started, b->started);
    const struct run_progress *x = &a->progress, *y = &b->progress;
    ck_assert_int_eq(x->run, y->run);
    ck_assert_int_eq(x->status, y->status);
    ck_assert_int_eq(x->first_step, y->first_step);
    ck_assert_int_eq(x->last_step, y->last_step);
    ck_assert_int_eq(x->n_steps, y->n_steps);
    ASSERT_SAME_BITS(x->last_seen, y->last_seen);
    ASSERT_SAME_BITS(x->loss, y->loss);
    ASSERT_SAME_BITS(x->end_time, y->end_time);
}

static void assert_same_alerts(const struct alerts *a, const struct alerts *b) {
    size_t n = alerts_saved_size(a);
    ck_assert_uint_eq(n, alerts_saved_size(b));
    char *x = malloc(n), *y = malloc(n);
    ck_assert(x && y);
    alerts_save(a, x);
    alerts_save(b, y);
    ck_assert_mem_eq(x, y, n);
    free(x);
    free(y);
}

static void assert_same_engines(const struct run *a, const struct run *b) {
    struct buf x = new_buf(), y = new_buf();
    balance_save(&a->balance, a->hello.n_layers, &x);
    balance_save(&b->balance, b->hello.n_layers, &y);
    output_probe_save(&a->outputs, &x);
    output_probe_save(&b->outputs, &y);
    ck_assert_int_eq(a->n_outputs, b->n_outputs);
    ck_assert_uint_eq(x.len, y.len);
    ck_assert_mem_eq(x.data, y.data, x.len);
    for (size_t i = 0; i < a->hello.n_layers; i++) {
        ck_assert_mem_eq(thermo_engine(a->thermo, i), thermo_engine(b->thermo, i),
                         sizeof(struct engine));
        ck_assert(a->activations[i] == b->activations[i]);
    }
    buf_free(&x);
    buf_free(&y);
}

static void assert_same_run(const struct run *a, const struct run *b) {
    assert_same_record(&a->record, &b->record);
    ck_assert_int_eq(a->attempt, b->attempt);
    ck_assert_int_eq(a->n_events, b->n_events);
    ASSERT_SAME_BITS(a->time, b->time);
    ASSERT_SAME_BITS(a->step_seconds, b->step_seconds);
    ck_assert_str_eq(a->hello.facts, b->hello.facts);
    assert_same_stepset(&a->steps, &b->steps);
    size_t extremes = READINGS_STEPWISE * a->readings.n_bodies * sizeof *a->readings.low;
    ck_assert_uint_eq(a->readings.steps, b->readings.steps);
    ck_assert_uint_eq(a->readings.n_bodies, b->readings.n_bodies);
    ck_assert_mem_eq(a->readings.low, b->readings.low, extremes);
    ck_assert_mem_eq(a->readings.high, b->readings.high, extremes);
    assert_same_thermo(a->thermo, b->thermo);
    assert_same_engines(a, b);
    assert_same_alerts(a->alerts, b->alerts);
}

static struct run *restored(const struct trainer *t) {
    struct run *run;
    int rc = run_restore(&run, reader, "r", t->rules);
    ck_assert_msg(rc == 1, "%d: %s", rc, reader_error(reader));
    return run;
}

static void assert_restores(const struct trainer *t) {
    struct run *run = restored(t);
    assert_same_run(t->run, run);
    run_destroy(run);
}

// -- a life --------------------------------------------------------------------------------------

// What happens at each position of a life that has everything in it.
static void live_on(struct trainer *t, size_t position) {
    switch (position) {
    case 30:
        trainer_event(t, "data_refresh");
        break;
    case 31:
        trainer_event(t, "epoch");
        trainer_outputs(t, stepset_last(&t->run->steps));
        break;
    case 45:
        ck_assert_int_eq(trainer_rewind(t, 33), RUN_JOIN_NEW_ATTEMPT);
        break;
    case 47:
        trainer_event(t, "data_refresh");
        break;
    case 60:
        ck_assert_int_eq(trainer_hello(t, HELLO(SGD_MOMENTUM, "", LAYERS_3)), RUN_JOIN_NEW_ATTEMPT);
        break;
    case 75:
        ck_assert_int_eq(trainer_rewind(t, -1), RUN_JOIN_NEW_ATTEMPT);
        break;
    case 76:
        ck_assert_int_eq(trainer_rewind(t, 1000), RUN_JOIN_NEW_ATTEMPT); // beyond the newest
        break;
    case 95:
        trainer_end(t, RUN_FAILED);
        break;
    case 96:
        ck_assert_int_eq(trainer_hello(t, HELLO(SGD, "", LAYERS_2)), RUN_JOIN_NEW_ATTEMPT);
        break;
    case 97:
        trainer_outputs(t, stepset_last(&t->run->steps) + 1);
        trainer_event(t, "data_refresh"); // before the attempt's first step
        break;
    case 119:
        trainer_end(t, RUN_COMPLETED);
        break;
    default:
        trainer_step(t, position % 10 == 9 ? 3 : 1);
    }
}

#define POSITIONS 120

START_TEST(test_restore_without_a_checkpoint) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 21);
    assert_restores(&t); // without a step
    for (size_t i = 0; i < POSITIONS; i++) {
        live_on(&t, i);
        if (i % 4 == 0 || (i > 28 && i < 50) || i > 73) {
            assert_restores(&t);
        }
    }
    trainer_stop(&t);
}
END_TEST

START_TEST(test_restore_from_every_checkpoint) {
    struct trainer t;
    struct buf states[POSITIONS + 1];
    int64_t attempts[POSITIONS + 1], steps[POSITIONS + 1];
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 22);
    for (size_t i = 0; i <= POSITIONS; i++) {
        states[i] = new_buf();
        run_save(t.run, &states[i]);
        attempts[i] = t.run->attempt;
        steps[i] = stepset_last(&t.run->steps);
        OK(store_put_checkpoint(store, RUN_ID, attempts[i], steps[i], states[i].data,
                                states[i].len));
        assert_restores(&t); // with nothing behind it
        if (i < POSITIONS) {
            live_on(&t, i);
        }
    }
    for (size_t i = 0; i <= POSITIONS; i++) {
        OK(store_put_checkpoint(store, RUN_ID, attempts[i], steps[i], states[i].data,
                                states[i].len));
        assert_restores(&t);
        buf_free(&states[i]);
    }
    trainer_stop(&t);
}
END_TEST

// A run that was rebuilt goes on like the one that lived.
START_TEST(test_going_on) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 23);
    for (size_t i = 0; i < 50; i++) {
        live_on(&t, i);
    }
    struct run *run = restored(&t);
    struct step s;
    step_init(&s);
    for (int i = 0; i < 100; i++) {
        make_training_step(&t, &s, stepset_last(&t.run->steps) + 1);
        run_observe(t.run, &s, NULL, NULL);
        run_observe(run, &s, NULL, NULL);
        assert_same_thermo(t.run->thermo, run->thermo);
        assert_same_alerts(t.run->alerts, run->alerts);
    }
    step_free(&s);
    run_destroy(run);
    trainer_stop(&t);
}
END_TEST

// A checkpoint that is of no use is no harm: the run is observed again from its start.
START_TEST(test_useless_checkpoints) {
    struct trainer t;
    struct buf bytes = new_buf();
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 24);
    for (size_t i = 0; i < 48; i++) {
        live_on(&t, i);
    }
    run_save(t.run, &bytes);
    uint64_t seed = 25;
    size_t state = thermo_saved_size(t.run->thermo) + alerts_saved_size(t.run->alerts);
    for (int i = 0; i < 60; i++) {
        size_t n = i < 30 ? random_below(&seed, bytes.len) : bytes.len;
        char *damaged = exact_copy(bytes.data, bytes.len);
        if (i >= 30) { // in the instruments' state
            size_t at = bytes.len - 1 - random_below(&seed, state);
            damaged[at] ^= (char)(1 + random_below(&seed, 255));
        }
        OK(store_put_checkpoint(store, RUN_ID, t.run->attempt, 5, damaged, n));
        assert_restores(&t);
        free(damaged);
    }
    OK(store_put_checkpoint(store, RUN_ID, 99, 5, bytes.data, bytes.len)); // of no attempt
    assert_restores(&t);
    buf_free(&bytes);
    trainer_stop(&t);
}
END_TEST

START_TEST(test_restore_fails) {
    struct trainer t;
    struct run *run;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 26);
    ck_assert_int_eq(run_restore(&run, reader, "another", t.rules), 0);
    ck_assert_ptr_null(run);
    trainer_step(&t, 1);
    trainer_step(&t, 1);
    execute_sql("UPDATE step SET columns=x'00' WHERE key&255=1");
    ck_assert_int_eq(run_restore(&run, reader, "r", t.rules), -1);
    ck_assert_ptr_null(run);
    ck_assert_str_eq(reader_error(reader), "step 1 is damaged in the store");
    execute_sql("DELETE FROM step; UPDATE attempt SET facts='{}'");
    ck_assert_int_eq(run_restore(&run, reader, "r", t.rules), -1);
    execute_sql("DELETE FROM attempt");
    ck_assert_int_eq(run_restore(&run, reader, "r", t.rules), -1);
    ck_assert_int_eq(reader_begin(reader), 0); // no transaction was left open
    reader_end(reader);
    trainer_stop(&t);
}
END_TEST

// Steps where no daemon would have put them: a damaged store must not end the daemon.
START_TEST(test_restore_steps_out_of_order) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 27);
    for (int i = 0; i < 5; i++) {
        trainer_step(&t, 1);
    }
    execute_sql("INSERT INTO attempt SELECT 11, run, 4, 0, started, facts FROM attempt;"
                "INSERT INTO step SELECT (11<<43)|(key&255), columns FROM step");
    struct run *run = restored(&t);
    ck_assert_int_eq(run->steps.count, 5);
    ck_assert_int_eq(run->attempt, 11);
    run_destroy(run);
    trainer_stop(&t);
}
END_TEST

// -- joining and placing -------------------------------------------------------------------------

static void assert_join(struct run *r, const char *line, enum run_join expected,
                        int64_t rewind_step) {
    struct hello h = hello_of(line);
    int64_t to = INT64_MIN;
    ck_assert_int_eq(run_join(r, &h, &to), expected);
    if (expected == RUN_JOIN_NEW_ATTEMPT) {
        ck_assert_int_eq(to, rewind_step);
    }
    hello_free(&h);
}

START_TEST(test_join) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 28);
    trainer_step(&t, 1);
    trainer_step(&t, 5);
    struct run *r = t.run;
    assert_join(r, HELLO(SGD, "", LAYERS_3), RUN_JOIN_CONTINUE, 0);
    assert_join(r, HELLO("\"name\":\"sgd\",\"momentum\":0,", "\"tags\":{},", LAYERS_3),
                RUN_JOIN_CONTINUE, 0);
    assert_join(r, HELLO(SGD, "\"resume\":{\"rewind\":3},", LAYERS_3), RUN_JOIN_NEW_ATTEMPT, 3);
    assert_join(r, HELLO(SGD, "\"resume\":{\"rewind\":-1},", LAYERS_2), RUN_JOIN_NEW_ATTEMPT, -1);
    static const char *const physics[] = {HELLO("\"name\":\"adam\",", "", LAYERS_3),
                                          HELLO(SGD_MOMENTUM, "", LAYERS_3),
                                          HELLO(SGD "\"nesterov\":true,", "", LAYERS_3),
                                          HELLO(SGD "\"betas\":[0.9,0.99],", "", LAYERS_3),
                                          HELLO(SGD "\"betas\":[0.8,0.999],", "", LAYERS_3),
                                          HELLO(SGD "\"weight_decay\":0.1,", "", LAYERS_3)};
    for (size_t i = 0; i < COUNT(physics); i++) {
        assert_join(r, physics[i], RUN_JOIN_NEW_ATTEMPT, 5);
    }
    assert_join(r, HELLO(SGD, "", LAYERS_2), RUN_JOIN_REFUSED, 0);
    r->record.progress.status = RUN_STALLED;
    assert_join(r, HELLO(SGD, "", LAYERS_2), RUN_JOIN_REFUSED, 0);
    r->record.progress.status = RUN_STOPPED;
    assert_join(r, HELLO(SGD, "", LAYERS_2), RUN_JOIN_NEW_ATTEMPT, -1);
    assert_join(r, HELLO(SGD, "", LAYERS_3), RUN_JOIN_CONTINUE, 0);
    trainer_stop(&t);
}
END_TEST

START_TEST(test_place) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 29);
    ck_assert_int_eq(run_place(t.run, 0), RUN_STEP_NEW);
    for (int i = 0; i < 5; i++) {
        trainer_step(&t, 4); // 3, 7, 11, 15, 19
    }
    ck_assert_int_eq(run_place(t.run, 20), RUN_STEP_NEW);
    ck_assert_int_eq(run_place(t.run, 19), RUN_STEP_REPEATED);
    ck_assert_int_eq(run_place(t.run, 3), RUN_STEP_REPEATED);
    ck_assert_int_eq(run_place(t.run, 4), RUN_STEP_MISPLACED);
    ck_assert_int_eq(run_place(t.run, 0), RUN_STEP_MISPLACED);
    trainer_rewind(&t, 8);
    ck_assert_int_eq(run_place(t.run, 11), RUN_STEP_NEW);
    ck_assert_int_eq(run_place(t.run, 8), RUN_STEP_NEW);
    ck_assert_int_eq(run_place(t.run, 7), RUN_STEP_REPEATED);
    ck_assert_int_eq(t.run->record.progress.last_step, 7);
    ck_assert_int_eq(t.run->record.progress.n_steps, 2);
    trainer_stop(&t);
}
END_TEST

struct closed {
    int open, resolved;
    int64_t attempt;
    struct run *run;
};

static void note_change(void *context, const struct alert_change *change) {
    struct closed *c = context;
    c->open += change->state == ALERT_FIRING;
    if (change->state == ALERT_RESOLVED) {
        c->resolved++;
        c->attempt = c->run->attempt;
    }
}

static void observe_loss(struct run *r, double loss, struct closed *c) {
    struct step s;
    step_init(&s);
    step_clear(&s, r->hello.n_layers);
    s.step = stepset_last(&r->steps) + 1;
    s.time = 1000;
    s.loss = loss;
    run_observe(r, &s, note_change, c);
    step_free(&s);
}

// Alerts are known by the attempt in which they began: a new one closes them under the old number,
// also where nothing was rewound.
START_TEST(test_a_new_attempt_closes_alerts) {
    static const char *const lines[] = {HELLO(SGD, "\"resume\":{\"rewind\":1},", LAYERS_3),
                                        HELLO(SGD_MOMENTUM, "", LAYERS_3),
                                        HELLO(SGD, "\"resume\":{\"rewind\":-1},", LAYERS_2)};
    struct ruleset *rules = ruleset_default();
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct hello h = hello_of(HELLO(SGD, "", LAYERS_3)), next = hello_of(lines[i]);
        struct run *r = run_create(1, 10, &h, 0, rules);
        struct closed c = {.run = r};
        observe_loss(r, 1, &c);
        for (int k = 0; k < 20; k++) {
            observe_loss(r, (double)NAN, &c);
        }
        ck_assert_int_gt(c.open, 0);
        ck_assert_int_eq(c.resolved, 0);
        run_begin_attempt(r, 11, &next, 1, rules, note_change, &c);
        ck_assert_int_eq(c.resolved, c.open);
        ck_assert_int_eq(c.attempt, 10);
        ck_assert_int_eq(r->attempt, 11);
        ck_assert_ptr_null(next.facts);
        run_destroy(r);
    }
    ruleset_release(rules);
}
END_TEST

// -- snapshots -----------------------------------------------------------------------------------

START_TEST(test_snapshot) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 30);
    struct snapshot *before = snapshot_create(t.run);
    ck_assert_int_eq(before->step, -1);
    for (size_t i = 0; i < 40; i++) {
        live_on(&t, i);
    }
    struct snapshot *s = snapshot_create(t.run);
    ck_assert_uint_gt(s->version, before->version);
    ck_assert_int_eq(s->step, stepset_last(&t.run->steps));
    ck_assert_uint_eq(s->state, 1);
    ck_assert_uint_eq(s->n_layers, 3);
    ck_assert_str_eq(s->layer_names[1], "b");
    ck_assert_str_eq(s->record.name, "r");
    ASSERT_SAME_BITS(s->time, t.run->time);
    struct reading now[METRIC_COUNT];
    thermo_read(t.run->thermo, 2, now);
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        struct reading kept = reading_table_get(&s->layers, 2, m);
        assert_same_reading(&now[m], &kept);
    }
    double energy = s->global[METRIC_ENERGY].value;
    trainer_step(&t, 1); // a snapshot does not change
    ASSERT_SAME_BITS(s->global[METRIC_ENERGY].value, energy);
    trainer_stop(&t); // and needs no run
    ck_assert_str_eq(s->layer_names[2], "c");
    snapshot_unref(before);
    snapshot_unref(s);
    snapshot_unref(NULL);
}
END_TEST

static void assert_whole_reading(const struct reading *a, const struct reading *b) {
    assert_same_reading(a, b);
    ASSERT_SAME_BITS(a->low, b->low);
    ASSERT_SAME_BITS(a->high, b->high);
    ASSERT_SAME_BITS(a->steps, b->steps);
    ck_assert(is_same_text(a->source, b->source));
    ck_assert(is_same_text(a->note, b->note));
}

START_TEST(test_reading_table) {
    static const struct reading readings[] = {
        {.value = 1 / 3.0, .low = -1e300, .high = 1e-300, .steps = 4000000, .has_interval = true},
        {.value = -0.0, .no_interval = "c", .source = "a", .note = "b"},
        {.reason = "a", .source = "c"},
        {.value = (double)INFINITY, .low = (double)NAN, .note = "c", .steps = 1},
        {.value = 0},
    };
    struct reading_table t;
    struct reading in[2][METRIC_COUNT], out[METRIC_COUNT];
    for (size_t i = 0; i < (size_t)2 * METRIC_COUNT; i++) {
        struct reading *r = &in[i / METRIC_COUNT][i % METRIC_COUNT];
        *r = readings[i % COUNT(readings)];
        r->value = r->reason ? num_missing() : r->value;
    }
    reading_table_init(&t, 2);
    reading_table_put(&t, 1, in[1]);
    reading_table_put(&t, 0, in[0]);
    for (size_t row = 0; row < 2; row++) {
        reading_table_row(&t, row, out);
        for (enum metric m = 0; m < METRIC_COUNT; m++) {
            struct reading one = reading_table_get(&t, row, m);
            assert_whole_reading(&in[row][m], &one);
            assert_whole_reading(&in[row][m], &out[m]);
        }
    }
    reading_table_free(&t);
}
END_TEST

// Memory that was used before holds numbers of texts that are none of this table's.
START_TEST(test_reading_table_in_used_memory) {
    struct reading_table t;
    struct reading said = {.reason = "a", .source = "b", .note = "c", .no_interval = "d"};
    struct reading first[METRIC_COUNT] = {0}, next[METRIC_COUNT];
    reading_table_init(&t, 2);
    memset(t.cells, 2, (size_t)2 * METRIC_COUNT * 32);
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        next[m] = said;
    }
    reading_table_put(&t, 0, first);
    reading_table_put(&t, 1, next);
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        struct reading one = reading_table_get(&t, 0, m), other = reading_table_get(&t, 1, m);
        assert_whole_reading(&first[m], &one);
        assert_whole_reading(&next[m], &other);
    }
    reading_table_free(&t);
}
END_TEST

static void *hold_and_let_go(void *argument) {
    struct snapshot *s = argument;
    for (int i = 0; i < 20000; i++) {
        struct snapshot *mine = snapshot_ref(s);
        CHECK(mine->n_layers == 3); // libcheck's own assertions are for one thread
        snapshot_unref(mine);
    }
    snapshot_unref(s);
    return NULL;
}

// The last to let go frees it, whoever that is.
START_TEST(test_snapshot_references) {
    struct trainer t;
    pthread_t threads[4];
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 31);
    struct snapshot *s = snapshot_create(t.run);
    for (size_t i = 0; i < COUNT(threads); i++) {
        snapshot_ref(s);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_let_go, s), 0);
    }
    ck_assert_ptr_eq(snapshot_ref(s), s);
    snapshot_unref(s);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(s->refs, 1);
    snapshot_unref(s);
    trainer_stop(&t);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_restore_without_a_checkpoint,
        test_restore_from_every_checkpoint,
        test_going_on,
        test_useless_checkpoints,
        test_restore_fails,
        test_restore_steps_out_of_order,
        test_join,
        test_place,
        test_a_new_attempt_closes_alerts,
        test_snapshot,
        test_reading_table,
        test_reading_table_in_used_memory,
        test_snapshot_references,
    };
    return run_suite(store_suite("runs", tests, COUNT(tests)));
}
