// The store's reading side: filters and pages, attempts, events, cursors, and what alerts become.
#include "alerts/alerts.h"
#include "tests/unit/support/store_case.h"

// -- runs ----------------------------------------------------------------------------------------

#define MOST 64

struct list {
    int64_t ids[MOST];
    size_t n, stop_at; // stops the reader behind so many; 0: never
};

static bool note(struct list *list, int64_t id) {
    ck_assert_uint_lt(list->n, MOST);
    list->ids[list->n++] = id;
    return list->n != list->stop_at;
}

static bool note_run(void *context, const struct run_record *run) {
    ck_assert_str_eq(run->facts, FACTS);
    return note(context, run->id);
}

// The ids that come, as digits.
static void assert_runs(const struct run_filter *filter, int64_t limit, const char *expected) {
    struct list list = {0};
    int64_t n = reader_runs(reader, filter, limit, note_run, &list);
    ck_assert_int_eq(n, (int64_t)strlen(expected));
    ck_assert_uint_eq(list.n, strlen(expected));
    for (size_t i = 0; i < list.n; i++) {
        ck_assert_int_eq(list.ids[i], expected[i] - '0');
    }
}

START_TEST(test_runs) {
    for (int64_t id = 1; id <= 6; id++) {
        char name[2] = {(char)('a' + id), 0};
        put_run(id, name, id % 2 ? "odd" : "even");
        struct run_progress p = {.run = id, .status = id > 4 ? RUN_COMPLETED : RUN_RUNNING};
        OK(store_put_progress(store, &p));
    }
    enum run_status running = RUN_RUNNING, failed = RUN_FAILED;
    assert_runs(&(struct run_filter){.before_id = INT64_MAX}, 100, "654321");
    assert_runs(&(struct run_filter){.before_id = INT64_MAX}, 2, "65");
    assert_runs(&(struct run_filter){.before_id = 5}, 2, "43");
    assert_runs(&(struct run_filter){.before_id = 1}, 2, "");
    assert_runs(&(struct run_filter){.before_id = INT64_MAX}, 0, "");
    assert_runs(&(struct run_filter){.before_id = INT64_MAX, .project = "odd"}, 9, "531");
    assert_runs(&(struct run_filter){.before_id = INT64_MAX, .project = "Odd"}, 9, "");
    assert_runs(&(struct run_filter){.before_id = INT64_MAX, .status = &running}, 9, "4321");
    assert_runs(&(struct run_filter){.before_id = INT64_MAX, .status = &failed}, 9, "");
    assert_runs(&(struct run_filter){.before_id = 4, .status = &running, .project = "even"}, 9,
                "2");
    struct list two = {.stop_at = 2};
    struct run_filter all = {.before_id = INT64_MAX};
    ck_assert_int_eq(reader_runs(reader, &all, 100, note_run, &two), 2);
}
END_TEST

START_TEST(test_attempts) {
    struct attempt_record *list;
    size_t n;
    put_run(1, "r", "");
    put_run(2, "s", "");
    ck_assert_int_eq(reader_attempts(reader, 1, &list, &n), 0);
    ck_assert_uint_eq(n, 0);
    free(list);
    for (int64_t id = 1; id <= 12; id++) {
        put_attempt(id, 1 + id % 2, id - 3, id == 7 ? "other" : FACTS);
    }
    put_attempt(7, 2, 500, "a second time"); // changes nothing
    ck_assert_int_eq(reader_attempts(reader, 2, &list, &n), 0);
    ck_assert_uint_eq(n, 6);
    for (size_t i = 0; i < n; i++) {
        int64_t id = 1 + 2 * (int64_t)i;
        ck_assert_int_eq(list[i].id, id);
        ck_assert_int_eq(list[i].run, 2);
        ck_assert_int_eq(list[i].rewind_step, id - 3);
        ck_assert_int_eq(list[i].is_rewind, id >= 3);
        ck_assert_double_eq(list[i].started, 2000.0 + (double)id);
        ck_assert_str_eq(list[i].facts, id == 7 ? "other" : FACTS);
        attempt_record_free(&list[i]);
    }
    free(list);
}
END_TEST

// -- events --------------------------------------------------------------------------------------

static bool note_event(void *context, const struct event_record *e) {
    ck_assert_int_eq(e->run, 1);
    ck_assert_double_eq(e->time, 5.5);
    ck_assert_str_eq(e->name, "größe");
    ck_assert_pstr_eq(e->data, e->step % 2 ? "{\"k\":1}" : NULL);
    return note(context, e->id);
}

static void assert_events(int64_t from, int64_t to, int64_t after_id, int64_t limit, size_t n,
                          int64_t first) {
    struct list list = {0};
    struct event_filter filter = {.from = from, .to = to, .after_id = after_id};
    ck_assert_int_eq(reader_events(reader, 1, &filter, limit, note_event, &list), (int64_t)n);
    ck_assert_uint_eq(list.n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(list.ids[i], first + (int64_t)i);
    }
}

START_TEST(test_events) {
    put_run(1, "r", "");
    put_run(2, "s", "");
    static const int64_t steps[][2] = {{0, -1}, {5, 4}, {-1, 7}, {10, 9}, {-1, -1}};
    for (size_t i = 0; i < COUNT(steps); i++) { // numbered 1 to 5
        put_event(1, 3, steps[i][0], steps[i][1], "größe");
    }
    put_event(2, 4, 5, 5, "another run's");
    assert_events(INT64_MIN, INT64_MAX, 0, 100, 5, 1);
    assert_events(INT64_MIN, INT64_MAX, 2, 2, 2, 3);
    assert_events(5, 7, 0, 100, 2, 2); // the third came after step 7
    assert_events(7, 7, 0, 100, 1, 3);
    assert_events(8, 10, 0, 100, 1, 4);
    assert_events(-1, -1, 0, 100, 1, 5);
    assert_events(11, 100, 0, 100, 0, 0);
}
END_TEST

// -- cursors -------------------------------------------------------------------------------------

static void assert_cursor(struct step_cursor *cursor, int64_t first, int64_t last, int64_t stride) {
    struct step s;
    step_init(&s);
    for (int64_t number = first; number <= last; number += stride) {
        ck_assert_int_eq(step_cursor_next(cursor, &s), 1);
        ck_assert_int_eq(s.step, number);
        ck_assert_double_eq(s.loss, 0.5 + (double)number);
    }
    ck_assert_int_eq(step_cursor_next(cursor, &s), 0);
    step_cursor_close(cursor);
    step_free(&s);
}

static void assert_steps(int64_t attempt, int64_t from, int64_t to, int64_t first, int64_t last) {
    struct step_cursor *cursor;
    ck_assert_int_eq(step_cursor_open(&cursor, reader, attempt, from, to), 0);
    assert_cursor(cursor, first, last, 5);
}

START_TEST(test_cursors) {
    for (int64_t attempt = 1; attempt <= 3; attempt++) {
        for (int64_t number = 0; number < 100; number += 5) {
            put_small_step(attempt, number, 0.5 + (double)number);
        }
    }
    assert_steps(2, 0, STEP_MAX, 0, 95);
    assert_steps(2, INT64_MIN, INT64_MAX, 0, 95);
    assert_steps(2, 5, 10, 5, 10);
    assert_steps(2, 6, 9, 0, -1);
    assert_steps(2, 10, 9, 0, -1);
    assert_steps(2, 0, -1, 0, -1);
    assert_steps(2, STEP_MAX, INT64_MAX, 0, -1);
    assert_steps(2, INT64_MAX, INT64_MAX, 0, -1);
    assert_steps(4, 0, STEP_MAX, 0, -1);
    // Several at once, of the same attempt.
    struct step_cursor *a, *b;
    ck_assert_int_eq(step_cursor_open(&a, reader, 1, 0, STEP_MAX), 0);
    ck_assert_int_eq(step_cursor_open(&b, reader, 1, 50, STEP_MAX), 0);
    assert_cursor(b, 50, 95, 5);
    assert_cursor(a, 0, 95, 5);
    step_cursor_close(NULL);
}
END_TEST

START_TEST(test_scalars_cursor) {
    put_small_scalars(1, 7, 1);
    put_small_scalars(1, 3, 2);
    put_small_scalars(1, 7, 3);
    put_small_scalars(2, 7, 4);
    static const double order[] = {2, 1, 3}; // by step, then as they came
    struct step_cursor *cursor;
    struct step s;
    step_init(&s);
    ck_assert_int_eq(scalars_cursor_open(&cursor, reader, 1, 0, STEP_MAX), 0);
    for (size_t i = 0; i < COUNT(order); i++) {
        ck_assert_int_eq(step_cursor_next(cursor, &s), 1);
        ck_assert_int_eq(s.step, i == 0 ? 3 : 7);
        ck_assert_double_eq(s.scalars[0].value, order[i]);
    }
    ck_assert_int_eq(step_cursor_next(cursor, &s), 0);
    step_cursor_close(cursor);
    step_free(&s);
}
END_TEST

START_TEST(test_damaged_step) {
    static const char *const damages[] = {"UPDATE step SET columns=x'0102'",
                                          "UPDATE step SET columns=x''"};
    for (size_t i = 0; i < COUNT(damages); i++) {
        put_small_step(1, 8, 8.5);
        execute_sql(damages[i]);
        struct step_cursor *cursor;
        struct step s;
        step_init(&s);
        ck_assert_int_eq(step_cursor_open(&cursor, reader, 1, 0, STEP_MAX), 0);
        ck_assert_int_eq(step_cursor_next(cursor, &s), -1);
        ck_assert_str_eq(reader_error(reader), "step 8 is damaged in the store");
        step_cursor_close(cursor);
        step_free(&s);
        execute_sql("DELETE FROM step");
    }
}
END_TEST

// Between begin and end one state is seen.
START_TEST(test_read_transaction) {
    struct run_record run;
    put_run(1, "r", "");
    ck_assert_int_eq(reader_begin(reader), 0);
    ck_assert_int_eq(reader_find_run(reader, "r", &run), 1);
    run_record_free(&run);
    put_run(2, "s", "");
    ck_assert_int_eq(reader_find_run(reader, "s", &run), 0);
    reader_end(reader);
    reader_end(reader); // a second time does nothing
    ck_assert_int_eq(reader_find_run(reader, "s", &run), 1);
    run_record_free(&run);
}
END_TEST

// -- alerts --------------------------------------------------------------------------------------

static bool take_alert(void *context, const struct alert_record *a) {
    struct alert_record *out = context;
    *out = *a;
    ck_assert_str_eq(a->run_name, "r");
    ck_assert_str_eq(a->project, "p");
    ck_assert_str_eq(a->group_rule, "overheating");
    out->labels = a->labels ? strdup(a->labels) : NULL;
    out->annotations = a->annotations ? strdup(a->annotations) : NULL;
    out->group_rule = out->group_layer = NULL;
    out->rule = strdup(a->rule);
    out->layer = a->layer ? strdup(a->layer) : NULL;
    out->summary = strdup(a->summary);
    out->run_name = out->project = NULL;
    return false;
}

static struct alert_record newest_alert(void) {
    struct alert_record a;
    struct alert_filter filter = {.state = -1, .severity = -1, .before_id = INT64_MAX};
    ck_assert_int_eq(reader_alerts(reader, &filter, 1, take_alert, &a), 1);
    return a;
}

static struct alert_record alert_of(const char *layer, int64_t since, enum alert_state state) {
    return (struct alert_record){.run = 1,
                                 .attempt = 2,
                                 .rule = text("overheating"),
                                 .layer = text(layer),
                                 .severity = SEVERITY_WARNING,
                                 .state = (int)state,
                                 .since = since,
                                 .step = since,
                                 .started = 10,
                                 .changed = 10,
                                 .value = 1.5,
                                 .threshold = 1,
                                 .group_rule = text("overheating"),
                                 .group_layer = text(layer),
                                 .group_since = since,
                                 .labels = text("team=vision\n"),
                                 .annotations = text("a=b\n"),
                                 .summary = text("it began")};
}

static int64_t put_alert(struct alert_record *a) {
    OK(store_put_alert(store, a, false));
    return a->id;
}

static void fire(struct alert_record *a, double time) {
    a->state = ALERT_FIRING;
    a->step = a->since + 3;
    a->fired = a->changed = time;
    a->value = (double)NAN;
    a->summary = text("it fired");
}

// From pending through firing to resolved one row lives, with what it knew when it fired.
START_TEST(test_the_life_of_an_alert) {
    put_run(1, "r", "p");
    struct alert_record a = alert_of("fc1", 809, ALERT_PENDING);
    int64_t id = put_alert(&a);
    struct alert_record out = newest_alert();
    ck_assert_int_eq(out.id, id);
    ck_assert_int_eq(out.state, ALERT_PENDING);
    ck_assert_int_eq(out.group, id);
    ck_assert_double_eq(out.fired, 0);
    ck_assert_str_eq(out.summary, "it began");
    ck_assert_str_eq(out.labels, "team=vision\n");
    alert_record_free(&out);
    a.labels = a.annotations = NULL; // its rule changes: the alert stays the one that it is known as
    fire(&a, 20);
    ck_assert_int_eq(put_alert(&a), id);
    a.severity = SEVERITY_CRITICAL;
    fire(&a, 30); // more severe: still fired when it first did
    ck_assert_int_eq(put_alert(&a), id);
    a.state = ALERT_RESOLVED;
    a.resolved = a.changed = 40;
    a.fired = 0;
    a.step = 900;
    a.value = a.threshold = -7;
    a.summary = text("it is over");
    ck_assert_int_eq(put_alert(&a), id);
    out = newest_alert();
    ck_assert_int_eq(out.state, ALERT_RESOLVED);
    ck_assert_int_eq(out.severity, SEVERITY_CRITICAL);
    ck_assert_int_eq(out.since, 809);
    ck_assert_int_eq(out.step, 812);
    ck_assert_double_eq(out.started, 10);
    ck_assert_double_eq(out.fired, 20);
    ck_assert_double_eq(out.resolved, 40);
    ck_assert_double_eq(out.changed, 40);
    ASSERT_SAME_BITS(out.value, (double)NAN);
    ck_assert_double_eq(out.threshold, 1);
    ck_assert_str_eq(out.rule, "overheating");
    ck_assert_str_eq(out.layer, "fc1");
    ck_assert_str_eq(out.summary, "it fired");
    alert_record_free(&out);
}
END_TEST

START_TEST(test_cancelled_alerts) {
    put_run(1, "r", "p");
    struct alert_record a = alert_of(NULL, 5, ALERT_PENDING), b = alert_of(NULL, 6, ALERT_PENDING);
    int64_t first = put_alert(&a), second = put_alert(&b);
    OK(store_put_alert(store, &b, true));
    ck_assert_int_eq(b.id, 0);
    struct alert_record out = newest_alert();
    ck_assert_int_eq(out.id, first);
    ck_assert_ptr_null(out.layer);
    alert_record_free(&out);
    OK(store_put_alert(store, &b, true));    // a second time is no error
    ck_assert_int_gt(put_alert(&b), second); // a number is given out once
}
END_TEST

START_TEST(test_groups) {
    put_run(1, "r", "p");
    struct alert_record first = alert_of(NULL, 5, ALERT_FIRING),
                        other = alert_of("x", 7, ALERT_FIRING);
    int64_t group = put_alert(&first);
    other.group_layer = NULL;
    other.group_since = 5;
    int64_t member = put_alert(&other);
    struct alert_record out = newest_alert();
    ck_assert_int_eq(out.id, member);
    ck_assert_int_eq(out.group, group);
    alert_record_free(&out);
    // One whose first is not there is a group of its own.
    struct alert_record alone = alert_of("y", 8, ALERT_FIRING);
    alone.group_since = 3;
    int64_t id = put_alert(&alone);
    out = newest_alert();
    ck_assert_int_eq(out.group, id);
    alert_record_free(&out);
}
END_TEST

START_TEST(test_acknowledging) {
    put_run(1, "r", "p");
    struct alert_record a = alert_of(NULL, 5, ALERT_FIRING);
    int64_t id = put_alert(&a);
    OK(store_acknowledge_alert(store, id + 1, 3));
    OK(store_acknowledge_alert(store, id, 50));
    OK(store_acknowledge_alert(store, id, 60)); // somebody has it already
    fire(&a, 70);
    ck_assert_int_eq(put_alert(&a), id);
    struct alert_record out = newest_alert();
    ck_assert_double_eq(out.acknowledged, 50);
    alert_record_free(&out);
}
END_TEST

static bool note_alert(void *context, const struct alert_record *a) {
    return note(context, a->since);
}

static void assert_alerts(const struct alert_filter *filter, int64_t limit, const char *expected) {
    struct list list = {0};
    ck_assert_int_eq(reader_alerts(reader, filter, limit, note_alert, &list),
                     (int64_t)strlen(expected));
    for (size_t i = 0; i < list.n; i++) {
        ck_assert_int_eq(list.ids[i], expected[i] - '0');
    }
}

START_TEST(test_alert_filters) {
    put_run(1, "r", "p");
    put_run(2, "s", "p");
    int64_t last = 0;
    for (int64_t since = 1; since <= 6; since++) {
        struct alert_record a = alert_of(NULL, since, (enum alert_state)(since % 3));
        a.run = since > 4 ? 2 : 1;
        a.severity = since == 2 ? SEVERITY_CRITICAL : SEVERITY_INFO;
        last = put_alert(&a);
    }
    struct alert_filter all = {.state = -1, .severity = -1, .before_id = INT64_MAX};
    struct alert_filter f = all;
    assert_alerts(&f, 100, "654321");
    assert_alerts(&f, 2, "65");
    f.before_id = last - 1;
    assert_alerts(&f, 2, "43");
    f = all;
    f.run = 1;
    assert_alerts(&f, 100, "4321");
    f.state = ALERT_FIRING;
    assert_alerts(&f, 100, "41");
    f = all;
    f.severity = SEVERITY_CRITICAL;
    assert_alerts(&f, 100, "2");
    f.severity = SEVERITY_WARNING;
    assert_alerts(&f, 100, "");
    int64_t counts[3];
    ck_assert_int_eq(reader_alert_counts(reader, 1, counts), 0);
    ck_assert(counts[ALERT_PENDING] == 1 && counts[ALERT_FIRING] == 2 &&
              counts[ALERT_RESOLVED] == 1);
    ck_assert_int_eq(reader_alert_counts(reader, 9, counts), 0);
    ck_assert(counts[0] + counts[1] + counts[2] == 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_runs,
        test_attempts,
        test_events,
        test_cursors,
        test_scalars_cursor,
        test_damaged_step,
        test_read_transaction,
        test_the_life_of_an_alert,
        test_cancelled_alerts,
        test_groups,
        test_acknowledging,
        test_alert_filters,
    };
    return run_suite(store_suite("reader", tests, COUNT(tests)));
}
