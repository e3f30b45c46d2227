// The writer: groups, their order, what it reports, and that nothing is lost while the store fails.
#include "daemon/writer.h"
#include "tests/unit/support/store_case.h"

#include <pthread.h>
#include <time.h>

#define PATIENCE_S 60

static struct board_figures figures;
static struct writer *writer;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static unsigned wakes;

static void wake(void *context) {
    CHECK(context == &wakes);
    pthread_mutex_lock(&mutex);
    wakes++;
    pthread_cond_signal(&woken);
    pthread_mutex_unlock(&mutex);
}

static void wait_for_wake(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&mutex);
    while (wakes == 0) {
        CHECK(pthread_cond_timedwait(&woken, &mutex, &until) == 0);
    }
    wakes = 0;
    pthread_mutex_unlock(&mutex);
}

static void start(uint64_t group_ms) {
    memset(&figures, 0, sizeof figures);
    wakes = 0;
    writer = writer_start(store, group_ms, &figures, wake, &wakes);
    store = NULL; // the writer's now
}

// Groups end by their bytes alone, however slow the machine is.
static void set_up(void) {
    store_set_up();
    start(PATIENCE_S * 1000);
}

static void tear_down(void) {
    if (writer) {
        ck_assert(writer_stop(writer, PATIENCE_S));
    }
    writer = NULL;
    store_tear_down();
}

// -- ops -----------------------------------------------------------------------------------------

static uint64_t push_run(int64_t id, const char *name) {
    struct op *op = op_create(OP_RUN, id, 0, 0, NULL, 0);
    op->run_row = (struct run_record){.id = id,
                                      .name = op_text(name),
                                      .project = op_text(""),
                                      .facts = op_text(FACTS),
                                      .progress = {.run = id, .first_step = -1, .last_step = -1}};
    return writer_push(writer, op);
}

static uint64_t push_attempt(int64_t id, int64_t run) {
    struct op *op = op_create(OP_ATTEMPT, run, id, 0, NULL, 0);
    op->attempt_row =
        (struct attempt_record){.id = id, .run = run, .rewind_step = -1, .facts = op_text(FACTS)};
    return writer_push(writer, op);
}

static uint64_t push_step(int64_t run, int64_t attempt, int64_t number) {
    struct step s;
    struct buf blob = new_buf();
    step_init(&s);
    step_clear(&s, 1);
    s.loss = (double)number;
    ck_assert(blob_encode(&s, &blob));
    struct op *op = op_create(OP_STEP, run, attempt, number, blob.data, blob.len);
    op->progress = (struct run_progress){
        .run = run, .last_step = number, .n_steps = number + 1, .loss = (double)number};
    buf_free(&blob);
    step_free(&s);
    return writer_push(writer, op);
}

static uint64_t push_alert(int64_t since, bool cancelled) {
    struct op *op = op_create(OP_ALERT, 1, 10, since, NULL, 0);
    op->cancelled = cancelled;
    op->alert = (struct alert_record){.run = 1,
                                      .attempt = 10,
                                      .rule = op_text("unstable"),
                                      .since = since,
                                      .group_rule = op_text("unstable"),
                                      .group_since = since,
                                      .summary = op_text("s")};
    return writer_push(writer, op);
}

// -- what comes back -----------------------------------------------------------------------------

// Everything collected until an op is durable, as one.
static struct written collect_until(uint64_t sequence) {
    struct written all = {0};
    while (all.sequence < sequence) {
        struct written w;
        wait_for_wake();
        writer_collect(writer, &w);
        ck_assert_uint_ge(w.sequence, all.sequence);
        all.sequence = w.sequence;
        all.runs = realloc(all.runs, (all.n_runs + w.n_runs + 1) * sizeof *all.runs);
        all.alerts = realloc(all.alerts, (all.n_alerts + w.n_alerts + 1) * sizeof *all.alerts);
        CHECK(all.runs && all.alerts);
        for (size_t i = 0; i < w.n_runs; i++) {
            all.runs[all.n_runs++] = w.runs[i];
        }
        for (size_t i = 0; i < w.n_alerts; i++) {
            all.alerts[all.n_alerts++] = w.alerts[i];
        }
        free(all.trouble);
        all.trouble = w.trouble;
        w.trouble = NULL;
        w.n_alerts = 0;
        written_free(&w);
    }
    return all;
}

static void wait_until_durable(uint64_t sequence) {
    struct written all = collect_until(sequence);
    written_free(&all);
}

static int64_t last_durable(const struct written *w, int64_t run) {
    int64_t last = -1;
    for (size_t i = 0; i < w->n_runs; i++) {
        if (w->runs[i].run == run) {
            ck_assert_int_ge(w->runs[i].last_step, last); // in order
            last = w->runs[i].last_step;
        }
    }
    return last;
}

static int64_t count_steps(int64_t attempt) {
    struct step_cursor *cursor;
    struct step s;
    int64_t n = 0;
    step_init(&s);
    ck_assert_int_eq(step_cursor_open(&cursor, reader, attempt, 0, STEP_MAX), 0);
    for (int rc; (rc = step_cursor_next(cursor, &s)) != 0; n++) {
        ck_assert_int_eq(rc, 1);
        ck_assert_int_eq(s.step, n);
    }
    step_cursor_close(cursor);
    step_free(&s);
    return n;
}

static struct run_progress progress_of(const char *name) {
    struct run_record run;
    ck_assert_int_eq(reader_find_run(reader, name, &run), 1);
    struct run_progress p = run.progress;
    run_record_free(&run);
    return p;
}

// -- tests ---------------------------------------------------------------------------------------

START_TEST(test_order_and_sequence) {
    uint64_t sequence = 0;
    ck_assert_uint_eq(push_run(1, "r"), ++sequence);
    ck_assert_uint_eq(push_attempt(10, 1), ++sequence);
    push_run(2, "s");
    push_attempt(20, 2);
    for (int64_t i = 0; i < 500; i++) {
        push_step(1, 10, i);
        sequence = push_step(2, 20, i);
    }
    ck_assert_uint_eq(sequence, 1004);
    struct written w = collect_until(sequence);
    ck_assert_uint_eq(w.sequence, sequence);
    ck_assert_ptr_null(w.trouble);
    ck_assert_int_eq(last_durable(&w, 1), 499);
    ck_assert_int_eq(last_durable(&w, 2), 499);
    ck_assert_int_eq(w.runs[0].attempt, w.runs[0].run * 10);
    written_free(&w);
    ck_assert_int_eq(count_steps(10), 500);
    ck_assert_int_eq(count_steps(20), 500);
    ck_assert_int_eq(progress_of("s").last_step, 499);
    ck_assert_int_eq(progress_of("s").n_steps, 500);
    ck_assert_uint_eq(figures.steps_durable, 1000);
    ck_assert_uint_eq(figures.queue_bytes, 0);
    ck_assert_uint_eq(writer_queued_bytes(writer), 0);
    ck_assert_uint_ge(figures.commits, 1);
    uint64_t in_buckets = 0;
    for (size_t i = 0; i < COUNT(figures.commit_seconds_bucket); i++) {
        in_buckets += figures.commit_seconds_bucket[i];
    }
    ck_assert_uint_eq(in_buckets, figures.commits);
    ck_assert_uint_eq(figures.commit_failures, 0);
    ck_assert_uint_gt(figures.wal_bytes, 0);
}
END_TEST

START_TEST(test_alerts_come_back_with_their_numbers) {
    push_run(1, "r");
    push_alert(5, false);
    push_alert(6, false);
    push_alert(5, false);
    struct written w = collect_until(push_alert(6, true));
    ck_assert_uint_eq(w.n_alerts, 4);
    int64_t first = w.alerts[0]->alert.id;
    ck_assert_int_gt(first, 0);
    ck_assert_int_gt(w.alerts[1]->alert.id, first);
    ck_assert_int_eq(w.alerts[2]->alert.id, first);
    ck_assert(w.alerts[3]->cancelled && w.alerts[3]->alert.id == 0);
    ck_assert_str_eq(w.alerts[3]->alert.summary, "s");
    ck_assert_uint_lt(w.alerts[2]->sequence, w.alerts[3]->sequence);
    written_free(&w);
    struct op *op = op_create(OP_ACKNOWLEDGE, 1, 0, 0, NULL, 0);
    op->alert.id = first;
    op->alert.changed = 77;
    wait_until_durable(writer_push(writer, op));
}
END_TEST

START_TEST(test_every_op) {
    push_run(1, "r");
    push_attempt(10, 1);
    push_step(1, 10, 0);
    struct step s;
    struct buf blob = new_buf();
    step_init(&s);
    step_clear(&s, 1);
    ck_assert(blob_encode(&s, &blob));
    writer_push(writer, op_create(OP_SCALARS, 1, 10, 0, blob.data, blob.len));
    writer_push(writer, op_create(OP_CHECKPOINT, 1, 10, 0, "state", 5));
    struct op *event = op_create(OP_EVENT, 1, 10, 0, NULL, 0);
    event->event = (struct event_record){.run = 1, .attempt = 10, .name = op_text("e")};
    writer_push(writer, event);
    struct op *progress = op_create(OP_PROGRESS, 1, 10, 0, NULL, 0);
    progress->progress = (struct run_progress){.run = 1, .status = RUN_FAILED, .end_time = 9};
    wait_until_durable(writer_push(writer, progress));
    ck_assert_int_eq(progress_of("r").status, RUN_FAILED);
    int64_t attempt, step;
    void *bytes;
    size_t size;
    ck_assert_int_eq(reader_checkpoint(reader, 1, &attempt, &step, &bytes, &size), 1);
    ck_assert_uint_eq(size, 5);
    free(bytes);
    step_free(&s);
    buf_free(&blob);
}
END_TEST

// Deleted in the same group in which it was fed: it is gone, and no progress of it is reported.
START_TEST(test_deleting) {
    execute_sql("CREATE TRIGGER hold BEFORE INSERT ON run BEGIN SELECT RAISE(ABORT, 'held'); END");
    push_run(1, "r");
    wait_for_wake(); // it fails, so that what follows gathers behind it
    push_run(2, "s");
    push_step(1, 10, 0);
    push_step(2, 20, 0);
    uint64_t sequence = writer_push(writer, op_create(OP_DELETE_RUN, 1, 0, 0, NULL, 0));
    execute_sql("DROP TRIGGER hold");
    struct written w = collect_until(sequence);
    ck_assert_int_eq(last_durable(&w, 1), -1);
    ck_assert_int_eq(last_durable(&w, 2), 0);
    written_free(&w);
    push_run(3, "r"); // the name is free
    wait_until_durable(push_step(3, 30, 0));
    ck_assert_int_eq(progress_of("r").run, 3);
}
END_TEST

// While the store fails nothing is reported as durable and nothing is dropped; then all that
// gathered goes out in one group behind the one that failed.
START_TEST(test_a_failing_store) {
    wait_until_durable(push_run(1, "r"));
    uint64_t commits = figures.commits;
    execute_sql(
        "CREATE TRIGGER fire BEFORE INSERT ON step BEGIN SELECT RAISE(ABORT, 'on fire'); END");
    uint64_t before = push_attempt(10, 1), sequence = push_step(1, 10, 0);
    struct written w = {0};
    while (!w.trouble) { // the attempt may have gone out alone
        written_free(&w);
        wait_for_wake();
        writer_collect(writer, &w);
    }
    ck_assert_ptr_nonnull(strstr(w.trouble, "on fire"));
    ck_assert_uint_le(w.sequence, before);
    ck_assert_uint_eq(w.n_runs, 0);
    written_free(&w);
    writer_collect(writer, &w); // it is told again and again
    ck_assert_ptr_nonnull(strstr(w.trouble, "on fire"));
    written_free(&w);
    for (int64_t i = 1; i < 1000; i++) {
        sequence = push_step(1, 10, i);
    }
    ck_assert_uint_gt(figures.commit_failures, 0);
    ck_assert_uint_gt(writer_queued_bytes(writer), 999 * 64);
    ck_assert_int_eq(count_steps(10), 0);
    execute_sql("DROP TRIGGER fire");
    w = collect_until(sequence);
    ck_assert_ptr_null(w.trouble);
    ck_assert_int_eq(last_durable(&w, 1), 999);
    written_free(&w);
    ck_assert_int_eq(count_steps(10), 1000);
    ck_assert_uint_le(figures.commits - commits, 3);
    ck_assert_uint_eq(writer_queued_bytes(writer), 0);
}
END_TEST

// A full disk, which SQLite answers with a rollback of its own.
START_TEST(test_a_full_disk) {
    wait_until_durable(push_run(1, "r"));
    push_attempt(10, 1);
    execute_sql(
        "CREATE TRIGGER full BEFORE INSERT ON step BEGIN SELECT RAISE(ROLLBACK, 'full'); END");
    uint64_t sequence = push_step(1, 10, 0);
    struct written w = {0};
    while (!w.trouble) {
        written_free(&w);
        wait_for_wake();
        writer_collect(writer, &w);
    }
    ck_assert_ptr_nonnull(strstr(w.trouble, "full"));
    written_free(&w);
    execute_sql("DROP TRIGGER full");
    wait_until_durable(sequence);
    ck_assert_int_eq(count_steps(10), 1);
}
END_TEST

// One transaction holds a bounded share of the queue.
START_TEST(test_groups_are_bounded) {
    execute_sql("CREATE TRIGGER hold BEFORE INSERT ON run BEGIN SELECT RAISE(ABORT, 'held'); END");
    push_run(1, "r");
    wait_for_wake();
    char *state = calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(state);
    uint64_t sequence = 0;
    for (int i = 0; i < 20; i++) {
        sequence = writer_push(writer, op_create(OP_CHECKPOINT, 1, 10, i, state, 1 << 20));
    }
    free(state);
    ck_assert_uint_gt(writer_queued_bytes(writer), 20 << 20);
    execute_sql("DROP TRIGGER hold");
    wait_until_durable(sequence);
    ck_assert_uint_ge(figures.commits, 4); // the run, and 20 MiB by 8
    ck_assert_uint_le(figures.commits, 5);
}
END_TEST

// With no time to wait for others every op is a group of its own, in the same order.
START_TEST(test_groups_end_in_time) {
    ck_assert(writer_stop(writer, PATIENCE_S));
    close_store();
    open_store();
    execute_sql("CREATE TRIGGER hold BEFORE INSERT ON run BEGIN SELECT RAISE(ABORT, 'held'); END");
    start(0);
    push_run(1, "r");
    wait_for_wake();
    uint64_t sequence = push_attempt(10, 1);
    for (int64_t i = 0; i < 10; i++) {
        sequence = push_step(1, 10, i);
    }
    execute_sql("DROP TRIGGER hold");
    struct written w = collect_until(sequence);
    ck_assert_uint_eq(w.n_runs, 10); // a report a commit
    ck_assert_int_eq(last_durable(&w, 1), 9);
    written_free(&w);
    ck_assert_uint_eq(figures.commits, 12);
    ck_assert_uint_eq(writer_queued_bytes(writer), 0);
    ck_assert_int_eq(count_steps(10), 10);
}
END_TEST

START_TEST(test_queue_counts_texts) {
    struct op *op = op_create(OP_EVENT, 1, 10, 0, NULL, 0);
    size_t bare = op_bytes(op);
    char *data = malloc(50001);
    ck_assert_ptr_nonnull(data);
    memset(data, ' ', 50000);
    data[50000] = '\0';
    op->event.data = data;
    ck_assert_uint_ge(op_bytes(op), bare + 50000);
    op_destroy(op);
    op = op_create(OP_STEP, 1, 10, 0, "12345678", 8);
    ck_assert_uint_ge(op_bytes(op), bare + 8);
    op_destroy(op);
    ck_assert_ptr_null(op_text(NULL));
}
END_TEST

// Of a state of hundreds of megabytes there must not be two.
START_TEST(test_large_blobs_are_not_copied) {
    struct buf state;
    buf_init(&state, 1 << 20);
    for (size_t i = 0; i < 1000; i++) {
        buf_puts(&state, "the state ");
    }
    const void *bytes = state.data;
    struct op *op = op_take(OP_CHECKPOINT, 1, 10, 0, &state);
    ck_assert_ptr_eq(op->blob, bytes);
    ck_assert_uint_eq(op->blob_size, 10000);
    ck_assert_uint_ge(op_bytes(op), 10000);
    ck_assert_ptr_null(state.data);
    op_destroy(op);
}
END_TEST

START_TEST(test_stop_writes_everything) {
    push_run(1, "r");
    push_attempt(10, 1);
    for (int64_t i = 0; i < 5000; i++) {
        push_step(1, 10, i);
    }
    ck_assert(writer_stop(writer, PATIENCE_S));
    writer = NULL;
    ck_assert_int_eq(count_steps(10), 5000);
    ck_assert_uint_eq(figures.steps_durable, 5000);
    close_store();
    open_store(); // the writer has closed it
    ck_assert(!store_was_unclean(store));
}
END_TEST

START_TEST(test_stop_gives_up_in_time) {
    wait_until_durable(push_run(1, "r"));
    execute_sql(
        "CREATE TRIGGER fire BEFORE INSERT ON step BEGIN SELECT RAISE(ABORT, 'on fire'); END");
    push_step(1, 10, 0);
    wait_for_wake();
    push_step(1, 10, 1);
    ck_assert(!writer_stop(writer, 0));
    writer = NULL;
    ck_assert_int_eq(count_steps(10), 0);
}
END_TEST

START_TEST(test_heartbeat) {
    wait_until_durable(push_run(1, "r"));
    uint64_t beat = writer_heartbeat(writer);
    wait_until_durable(push_attempt(10, 1));
    ck_assert_uint_gt(writer_heartbeat(writer), beat);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_order_and_sequence,
        test_alerts_come_back_with_their_numbers,
        test_every_op,
        test_deleting,
        test_a_failing_store,
        test_a_full_disk,
        test_groups_are_bounded,
        test_groups_end_in_time,
        test_queue_counts_texts,
        test_large_blobs_are_not_copied,
        test_stop_writes_everything,
        test_stop_gives_up_in_time,
        test_heartbeat,
    };
    Suite *suite = suite_create("writer");
    TCase *cases = tcase_create("writer");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 120);
    for (size_t i = 0; i < COUNT(tests); i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
