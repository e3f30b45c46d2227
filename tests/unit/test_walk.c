// The order in which a stored run is walked, and the history in force of it.
#include "runs/history.h"
#include "runs/walk.h"
#include "tests/unit/support/run_case.h"

// -- walk ----------------------------------------------------------------------------------------

// A run of three attempts: steps 0 2 4 6, then back to 2 and 3 4 5, then other facts and 6 7. The
// attempt of another run stands between.
static void put_three_attempts(void) {
    put_run(RUN_ID, "r", "");
    put_run(RUN_ID + 1, "s", "");
    put_attempt(1, RUN_ID, -1, FACTS);
    put_attempt(2, RUN_ID, 2, FACTS);
    put_attempt(3, RUN_ID + 1, -1, FACTS);
    put_attempt(4, RUN_ID, 5, FACTS);
    put_event(RUN_ID, 1, -1, -1, "start");
    for (int64_t step = 0; step <= 6; step += 2) {
        put_small_step(1, step, 1);
    }
    put_event(RUN_ID, 1, -1, 2, "after 2");
    put_event(RUN_ID, 1, 100, 2, "after 2 too");
    put_event(RUN_ID, 1, -1, 6, "after 6");
    put_event(RUN_ID, 2, -1, 2, "rewound");
    for (int64_t step = 3; step <= 5; step++) {
        put_small_step(2, step, 2);
    }
    put_event(RUN_ID, 2, -1, 4, "after 4");
    put_event(RUN_ID + 1, 3, -1, -1, "another's");
    put_small_step(3, 0, 3);
    put_small_step(4, 6, 4);
    put_small_step(4, 7, 4);
    put_event(RUN_ID, 4, -1, 7, "last");
    put_small_scalars(1, 2, 0);
    put_small_scalars(1, 3, 0);
    put_small_scalars(1, 2, 1);
    put_small_scalars(1, 2, 0); // again, and not kept
    put_small_scalars(2, 2, 0);
    put_small_scalars(4, 9, 0);
}

static void describe(const struct walk *w, enum walk_item item, struct buf *out) {
    switch (item) {
    case WALK_ATTEMPT:
        buf_printf(out, "[%lld] ", (long long)walk_attempt(w)->id);
        break;
    case WALK_STEP:
        ck_assert_double_eq(walk_step(w)->loss, (double)walk_attempt(w)->id);
        buf_printf(out, "%lld ", (long long)walk_step(w)->step);
        break;
    case WALK_EVENT:
        ck_assert_int_eq(walk_event(w)->attempt, walk_attempt(w)->id);
        buf_printf(out, "'%s' ", walk_event(w)->name);
        break;
    case WALK_SCALARS:
        ck_assert_uint_eq(walk_step(w)->n_scalars, 1);
        buf_printf(out, "s%lld ", (long long)walk_step(w)->step);
        break;
    case WALK_OUTPUTS:
        ck_assert_int_eq(walk_outputs(w)->attempt, walk_attempt(w)->id);
        buf_printf(out, "o%lld ", (long long)walk_outputs(w)->step);
        break;
    case WALK_END:
    case WALK_ERROR:
        ck_abort_msg("no item");
    }
}

static void assert_walk(const struct walk_options *options, const char *expected) {
    struct walk *w;
    struct buf out = new_buf();
    ck_assert_int_eq(walk_open(&w, reader, RUN_ID, options), 0);
    for (enum walk_item item; (item = walk_next(w)) != WALK_END;) {
        ck_assert_msg(item != WALK_ERROR, "%s", reader_error(reader));
        describe(w, item, &out);
    }
    ck_assert_int_eq(walk_next(w), WALK_END); // and stays there
    ck_assert_str_eq(buf_str(&out), expected);
    walk_close(w);
    buf_free(&out);
}

START_TEST(test_walk_everything) {
    put_three_attempts();
    assert_walk(
        &(struct walk_options){0},
        "[1] 'start' 0 2 'after 2' 'after 2 too' 4 6 'after 6' [2] 'rewound' 3 4 'after 4' 5 "
        "[4] 6 7 'last' ");
    assert_walk(
        &(struct walk_options){.scalars = true},
        "[1] 'start' 0 2 'after 2' 'after 2 too' s2 s2 s3 4 6 'after 6' [2] 'rewound' s2 3 4 "
        "'after 4' 5 [4] 6 7 'last' s9 ");
}
END_TEST

START_TEST(test_walk_from_within) {
    put_three_attempts();
    assert_walk(&(struct walk_options){.after_attempt = 1, .after_step = 2, .skip_events = 2},
                "'after 2 too' 4 6 'after 6' [2] 'rewound' 3 4 'after 4' 5 [4] 6 7 'last' ");
    assert_walk(&(struct walk_options){.after_attempt = 2, .after_step = 2, .skip_events = 4},
                "'rewound' 3 4 'after 4' 5 [4] 6 7 'last' ");
    assert_walk(&(struct walk_options){.after_attempt = 4, .after_step = 7, .skip_events = 6},
                "'last' ");
    assert_walk(
        &(struct walk_options){.after_attempt = 4, .after_step = STEP_MAX, .skip_events = 99}, "");
    assert_walk(&(struct walk_options){.skip_events = 7}, "[1] 0 2 4 6 [2] 3 4 5 [4] 6 7 ");
}
END_TEST

START_TEST(test_walk_in_force) {
    put_three_attempts();
    struct walk_options o = {.in_force_only = true, .from = 0, .to = STEP_MAX, .skip_events = 99};
    assert_walk(&o, "[1] 0 2 [2] 3 4 5 [4] 6 7 ");
    o.scalars = true;
    assert_walk(&o, "[1] 0 2 s2 s2 [2] s2 3 4 5 [4] 6 7 s9 ");
    o.scalars = false;
    o.from = 2;
    o.to = 6;
    assert_walk(&o, "[1] 2 [2] 3 4 5 [4] 6 ");
    o.from = o.to = 100;
    assert_walk(&o, "[1] [2] [4] ");
    // Another rewind takes away from all that came before.
    put_attempt(9, RUN_ID, 0, FACTS);
    o.from = 0;
    assert_walk(&o, "[1] 0 [2] [4] [9] ");
    put_attempt(10, RUN_ID, -1, FACTS);
    assert_walk(&o, "[1] [2] [4] [9] [10] ");
}
END_TEST

static void put_outputs(int64_t attempt, int64_t step, int64_t after_step, int64_t after_events) {
    static char line[] = "{}";
    struct outputs_record o = {.run = RUN_ID,
                               .attempt = attempt,
                               .step = step,
                               .after_step = after_step,
                               .after_events = after_events,
                               .line = line};
    OK(store_put_outputs(store, &o));
}

// Histograms keep their place among steps by after_step, among events by their number.
START_TEST(test_walk_outputs) {
    put_three_attempts();
    put_outputs(1, 0, -1, 0); // before the first event
    put_outputs(1, 1, -1, 1); // behind it
    put_outputs(1, 2, 2, 2);  // between two events behind step 2
    put_outputs(1, 9, 6, 4);  // behind the attempt's last event
    put_outputs(2, 3, 3, 5);
    put_outputs(4, 8, 7, 7);
    assert_walk(&(struct walk_options){.outputs = true, .scalars = true},
                "[1] o0 'start' o1 0 2 'after 2' o2 'after 2 too' s2 s2 s3 4 6 'after 6' o9 "
                "[2] 'rewound' s2 3 o3 4 'after 4' 5 [4] 6 7 'last' o8 s9 ");
    assert_walk(&(struct walk_options){.outputs = true, .no_steps = true},
                "[1] o0 'start' o1 'after 2' o2 'after 2 too' 'after 6' o9 "
                "[2] 'rewound' o3 'after 4' [4] 'last' o8 ");
    assert_walk(&(struct walk_options){.outputs = true,
                                       .after_attempt = 1,
                                       .after_step = 2,
                                       .skip_events = 2,
                                       .skip_outputs = 3},
                "'after 2 too' 4 6 'after 6' o9 [2] 'rewound' 3 o3 4 'after 4' 5 [4] 6 7 'last' "
                "o8 ");
}
END_TEST

START_TEST(test_walk_errors) {
    struct walk *w;
    put_three_attempts();
    execute_sql("UPDATE step SET columns=x'01' WHERE key=(1<<43)+4");
    ck_assert_int_eq(walk_open(&w, reader, RUN_ID, &(struct walk_options){.skip_events = 99}), 0);
    ck_assert_int_eq(walk_next(w), WALK_ATTEMPT);
    ck_assert_int_eq(walk_next(w), WALK_STEP);
    ck_assert_int_eq(walk_next(w), WALK_STEP);
    ck_assert_int_eq(walk_next(w), WALK_ERROR);
    ck_assert_str_eq(reader_error(reader), "step 4 is damaged in the store");
    walk_close(w);
    walk_close(NULL);
    ck_assert_int_eq(walk_open(&w, reader, 99, &(struct walk_options){0}), 0);
    ck_assert_int_eq(walk_next(w), WALK_END);
    walk_close(w);
}
END_TEST

// -- history -------------------------------------------------------------------------------------

#define STEPS_MAX 200

// The readings of a live run, one thermo a step in force.
struct album {
    struct thermo *at[STEPS_MAX];
    int64_t step[STEPS_MAX];
    size_t n;
};

static struct thermo *copy_thermo(const struct run *run) {
    struct thermo_facts facts;
    double sizes[8];
    ck_assert_uint_le(run->hello.n_layers, COUNT(sizes));
    for (size_t i = 0; i < run->hello.n_layers; i++) {
        sizes[i] = run->hello.layers[i].n;
    }
    run_thermo_facts(&run->hello, &facts);
    struct thermo *t = thermo_create(&facts, run->hello.n_layers, sizes);
    size_t n = thermo_saved_size(run->thermo);
    void *bytes = malloc(n);
    ck_assert_ptr_nonnull(bytes);
    thermo_save(run->thermo, bytes);
    ck_assert(thermo_load(t, bytes, n));
    free(bytes);
    return t;
}

static void forget_behind(struct album *a, int64_t last) {
    while (a->n && a->step[a->n - 1] > last) {
        thermo_destroy(a->at[--a->n]);
    }
}

static void steps_into_album(struct trainer *t, struct album *a, int n) {
    for (int i = 0; i < n; i++) {
        trainer_step(t, 1 + i % 3);
        a->at[a->n] = copy_thermo(t->run);
        a->step[a->n++] = stepset_last(&t->run->steps);
    }
}

static void live_through_everything(struct trainer *t, struct album *a) {
    steps_into_album(t, a, 20);
    trainer_event(t, "data_refresh");
    steps_into_album(t, a, 20);
    ck_assert_int_eq(trainer_rewind(t, 30), RUN_JOIN_NEW_ATTEMPT);
    forget_behind(a, 30);
    steps_into_album(t, a, 10);
    trainer_event(t, "epoch");
    ck_assert_int_eq(trainer_hello(t, HELLO(SGD_MOMENTUM, "", LAYERS_3)), RUN_JOIN_NEW_ATTEMPT);
    steps_into_album(t, a, 15);
}

// So many steps more.
static bool count_down(void *left) {
    return (*(int *)left)-- > 0;
}

// The steps before the range are asked for too: whoever has had enough is not kept until it begins.
static void assert_history_ends(int64_t from) {
    struct run_record record;
    struct history *h;
    const struct step *step;
    const struct thermo *thermo;
    int left = 3;
    ck_assert_int_eq(reader_find_run(reader, "r", &record), 1);
    ck_assert_int_eq(history_open(&h, reader, &record, from, STEP_MAX, true), 0);
    history_while(h, count_down, &left);
    ck_assert_int_eq(history_next(h, &step, &thermo), 0);
    ck_assert_int_eq(left, -1);
    history_close(h);
    run_record_free(&record);
}

static void assert_history(const struct album *a, int64_t from, int64_t to, bool with_instruments) {
    struct run_record record;
    struct history *h;
    const struct step *step;
    const struct thermo *thermo;
    ck_assert_int_eq(reader_find_run(reader, "r", &record), 1);
    ck_assert_int_eq(history_open(&h, reader, &record, from, to, with_instruments), 0);
    for (size_t i = 0; i < a->n; i++) {
        if (a->step[i] < from || a->step[i] > to) {
            continue;
        }
        ck_assert_int_eq(history_next(h, &step, &thermo), 1);
        ck_assert_int_eq(step->step, a->step[i]);
        ck_assert_int_eq(thermo != NULL, with_instruments);
        ck_assert_uint_eq(history_hello(h)->n_layers, step->n_layers);
        ck_assert_uint_eq(step->n_layers, thermo_layers(a->at[i]));
        if (thermo) {
            assert_same_thermo(a->at[i], thermo);
        }
    }
    ck_assert_int_eq(history_next(h, &step, &thermo), 0);
    history_close(h);
    run_record_free(&record);
}

START_TEST(test_history_is_what_was_read) {
    struct trainer t;
    struct album a = {.n = 0};
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 41);
    assert_history(&a, 0, STEP_MAX, true);
    live_through_everything(&t, &a);
    ck_assert_uint_gt(a.n, 30);
    for (int with = 0; with <= 1; with++) {
        assert_history(&a, 0, STEP_MAX, with);
        assert_history(&a, INT64_MIN, INT64_MAX, with);
        assert_history(&a, 25, 50, with);
        assert_history(&a, 51, 51, with);
        assert_history(&a, STEP_MAX, STEP_MAX, with);
        assert_history(&a, 5, 4, with);
    }
    assert_history_ends(25);
    forget_behind(&a, -1);
    trainer_stop(&t);
}
END_TEST

// Another network under the same name: its history alone is in force, with its own layers.
START_TEST(test_history_of_other_layers) {
    struct trainer t;
    struct album a = {.n = 0};
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 42);
    live_through_everything(&t, &a);
    trainer_end(&t, RUN_COMPLETED);
    ck_assert_int_eq(trainer_hello(&t, HELLO(SGD, "", LAYERS_2)), RUN_JOIN_NEW_ATTEMPT);
    forget_behind(&a, -1);
    steps_into_album(&t, &a, 30);
    assert_history(&a, 0, STEP_MAX, true);
    assert_history(&a, 0, STEP_MAX, false);
    forget_behind(&a, -1);
    trainer_stop(&t);
}
END_TEST

START_TEST(test_history_errors) {
    struct trainer t;
    trainer_start(&t, HELLO(SGD, "", LAYERS_3), 43);
    trainer_step(&t, 1);
    trainer_step(&t, 1);
    execute_sql("UPDATE step SET columns=x'01' WHERE key&255=1");
    for (int with = 0; with <= 1; with++) {
        struct history *h;
        const struct step *step;
        const struct thermo *thermo;
        ck_assert_int_eq(history_open(&h, reader, &t.run->record, 0, STEP_MAX, with), 0);
        ck_assert_int_eq(history_next(h, &step, &thermo), 1);
        ck_assert_int_eq(history_next(h, &step, &thermo), -1);
        ck_assert_str_eq(reader_error(reader), "step 1 is damaged in the store");
        history_close(h);
    }
    history_close(NULL);
    trainer_stop(&t);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_walk_everything,
        test_walk_from_within,
        test_walk_in_force,
        test_walk_outputs,
        test_walk_errors,
        test_history_is_what_was_read,
        test_history_of_other_layers,
        test_history_errors,
    };
    return run_suite(store_suite("walk", tests, COUNT(tests)));
}
