// The power goes at any moment of a store's life: it opens again, and holds every acknowledged step
// bit for bit. One life is recorded (tests/unit/support/powercut.h): steps of several runs in many
// commits, compaction, deletion, a stop and a start. Then the power is cut at points of the record:
// before and behind each sync, and at writes by chance; of what was not synced nothing, some
// sectors or all is left. A second life lets exact values go by their age: those that are young
// enough are there, those that went stay away, and tiers tell of all.
//
// FAULTS=all cuts at every sync; else at some points that FAULTS_SEED brings back.
#include "storage/range.h"
#include "tests/unit/support/powercut.h"
#include "tests/unit/support/store_case.h"

#include <time.h>

#define RUNS 5
#define MAX_ACTIONS 400
#define SHARE 40
#define RANDOM_CUTS 400 // with FAULTS=all

#define AGE_S 1000    // after which exact values go, in the life that lets them
#define BEGIN_S 1.7e9 // the time of step 0 there; a step is a second

// What is acknowledged: by run, the steps 0 to n - 1, of which those before `first` have gone. A
// run that is not there has -1.
struct model {
    int64_t n[RUNS], first[RUNS];
};

static bool is_aging; // the second life
static double wall_s; // its clock

// An action is in flight between `begin` and `end`, numbers of recorded operations.
static struct {
    struct model after[MAX_ACTIONS + 1]; // after[i]: when i are done
    size_t begin[MAX_ACTIONS], end[MAX_ACTIONS];
    size_t n;
} life;

// Runs are told apart by how much they write.
static size_t layers_of(int run) {
    return run == 1 ? 90 : 2 + (size_t)run;
}

static int64_t attempt_of(int run) {
    return 10 + run;
}

static void make(struct step *s, int run, int64_t number) {
    uint64_t seed = (uint64_t)number * 977 + (uint64_t)run;
    random_step(s, &seed, layers_of(run), number, VALUES_ANY_BITS);
    if (is_aging) {
        s->time = BEGIN_S + (double)number;
        s->loss = (double)number;
    }
}

// -- a store's life ------------------------------------------------------------------------------

static struct model *begin_action(void) {
    CHECK(life.n < MAX_ACTIONS);
    life.begin[life.n] = record.n;
    life.after[life.n + 1] = life.after[life.n];
    return &life.after[life.n + 1];
}

static void end_action(void) {
    life.end[life.n++] = record.n;
}

static void begin_life(void) {
    memset(&life, 0, sizeof life);
    for (int run = 0; run < RUNS; run++) {
        life.after[0].n[run] = -1;
    }
}

static void put_new_run(int run) {
    char name[] = {'r', (char)('0' + run), '\0'};
    put_run(run + 1, name, "");
    put_attempt(attempt_of(run), run + 1, -1, FACTS);
}

static void put_tail(int run, int64_t n, enum run_status status) {
    struct run_progress p = {
        .run = run + 1, .status = status, .first_step = 0, .last_step = n - 1, .n_steps = n};
    OK(store_put_progress(store, &p));
    OK(store_put_checkpoint(store, run + 1, attempt_of(run), n - 1, &n, sizeof n));
}

// One commit, as the writer makes it.
static void append(int run, int64_t n, enum run_status status) {
    struct step s;
    struct model *model = begin_action();
    step_init(&s);
    OK(store_begin(store));
    if (model->n[run] < 0) {
        put_new_run(run);
        model->n[run] = 0;
    }
    for (int64_t i = 0; i < n; i++) {
        make(&s, run, model->n[run]++);
        put_step(attempt_of(run), &s);
    }
    put_tail(run, model->n[run], status);
    OK(store_commit(store));
    end_action();
    store_checkpoint(store); // as the writer does
    step_free(&s);
}

static void append_often(int run, int commits, int64_t n) {
    for (int i = 0; i < commits; i++) {
        append(run, n, RUN_RUNNING);
    }
}

static void forget(int run) {
    struct model *model = begin_action();
    OK(store_begin(store));
    OK(store_delete_run(store, run + 1));
    OK(store_commit(store));
    model->n[run] = -1;
    model->first[run] = 0;
    end_action();
}

static int64_t query(const char *sql) {
    struct buf path = new_buf();
    sqlite3 *db;
    sqlite3_stmt *q;
    buf_printf(&path, "%s/" STORE_FILE, directory);
    CHECK(sqlite3_open_v2(buf_str(&path), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(q) == SQLITE_ROW);
    int64_t n = sqlite3_column_type(q, 0) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    buf_free(&path);
    return n;
}

static int64_t segments(void) {
    return query("SELECT count(*) FROM segment");
}

// Every kind of write that the daemon's writer makes, each often.
static void live(bool durable) {
    open_store_as(durable);
    append_often(0, 12, 5);
    append(0, 0, RUN_COMPLETED);
    maintain();
    ck_assert_int_ge(segments(), 1);
    append_often(1, 16, 20); // more than a full segment while it runs
    ck_assert_int_eq(maintain_once(false), 1);
    append_often(2, 10, 9);
    append_often(0, 4, 5); // the small segment is packed anew
    append(0, 0, RUN_STOPPED);
    append(2, 0, RUN_FAILED);
    maintain();
    ck_assert_int_ge(segments(), 3);
    forget(2);
    append_often(3, 5, 3);
    maintain();
    close_store(); // deletes the log
    open_store_as(durable);
    append_often(3, 15, 3);
    append_often(1, 3, 20);
    append(1, 0, RUN_COMPLETED);
    maintain();
    forget(1);
    append_often(4, 6, 2);
    maintain(); // gives the pages back
    append_often(4, 12, 2);
}

static double read_wall(void) {
    return wall_s;
}

static void open_aging_store(void) {
    open_store_as(true);
    store_set_clocks(store, read_wall, read_wall);
    store_limit(store, AGE_S, 0);
}

// Time goes on until steps before `oldest` are too old; what is packed of them goes.
static void age(int64_t oldest) {
    wall_s = BEGIN_S + AGE_S + (double)oldest;
    struct model *model = begin_action();
    maintain();
    for (int run = 0; run < RUNS; run++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "SELECT min(first) FROM (SELECT first_step AS first FROM segment WHERE level=0 "
                 "AND kind=0 AND attempt=%d UNION ALL SELECT key&%lld FROM step WHERE key>>43=%d)",
                 (int)attempt_of(run), (1LL << 43) - 1, (int)attempt_of(run));
        int64_t first = query(sql);
        model->first[run] = model->n[run] <= 0 ? 0 : first < 0 ? model->n[run] : first;
        ck_assert_int_le(model->first[run], oldest); // what is young enough stays
    }
    end_action();
}

// Whole runs, parts of runs that go on, one that is deleted thereafter, a stop and a start.
static void live_and_age(void) {
    wall_s = BEGIN_S + 10;
    open_aging_store();
    append_often(0, 8, 5);
    append(0, 0, RUN_COMPLETED);
    append_often(1, 16, 20);
    age(0);
    age(60); // all of run 0, nothing of run 1's first segment
    ck_assert_int_eq(life.after[life.n].first[0], 40);
    append_often(0, 3, 5); // and it goes on
    append(0, 0, RUN_STOPPED);
    append_often(1, 20, 20);
    age(330);
    ck_assert_int_gt(life.after[life.n].first[1], 0);
    append_often(2, 4, 9);
    append(2, 0, RUN_COMPLETED);
    close_store();
    open_aging_store();
    age(500);
    forget(0);
    append_often(1, 14, 20);
    append(1, 0, RUN_COMPLETED);
    maintain();
    age(900);
    forget(1);
    append_often(3, 12, 2);
    maintain();
    append_often(3, 3, 2);
}

static void record_aging_life(void) {
    is_aging = true;
    directory = make_directory();
    begin_life();
    powercut_record();
    live_and_age();
    powercut_off();
    close_store();
    powercut_end();
    remove_directory(directory);
    disk_begin();
}

static void record_life(bool durable) {
    is_aging = false;
    directory = make_directory();
    begin_life();
    powercut_record();
    live(durable);
    powercut_off();
    close_store();
    powercut_end();
    remove_directory(directory);
    disk_begin();
}

static void end_life(void) {
    disk_free();
    record_free();
}

// -- what a store holds --------------------------------------------------------------------------

static bool take_point(void *context, size_t series, const struct range_point *p) {
    int64_t *next = context;
    ck_assert_uint_eq(series, 0);
    ck_assert_int_eq(p->first, *next);
    ASSERT_SAME_BITS(p->cell.value[AGGREGATE_MIN], (double)p->first);
    ASSERT_SAME_BITS(p->cell.value[AGGREGATE_LAST], (double)p->last);
    *next = p->last + 1;
    return true;
}

// Plots show every step once, whether it is there or its tier.
static void assert_drawn(int run, int64_t n) {
    int64_t next = 0;
    struct range_series one = {.key = {.kind = COLUMN_FIELD, .id = SEGMENT_LOSS}};
    struct range range = {.attempt = attempt_of(run),
                          .kind = SEGMENT_STEPS,
                          .to = STEP_MAX,
                          .width = 1,
                          .series = &one,
                          .n_series = 1,
                          .point = take_point,
                          .context = &next};
    ck_assert_int_eq(range_read(reader, &range), 0);
    ck_assert_int_eq(next, n);
}

// Reads a run: how many steps it has had, -1 when there is none, and from which on they are there.
// What is there must be right.
static int64_t read_run(int run, int64_t *first) {
    char name[] = {'r', (char)('0' + run), '\0'};
    struct run_record found;
    int rc = reader_find_run(reader, name, &found);
    ck_assert_msg(rc >= 0, "%s", reader_error(reader));
    *first = 0;
    if (rc == 0) {
        return -1;
    }
    struct step got, expected;
    struct step_cursor *cursor;
    int64_t n = -1, attempt, last;
    void *bytes;
    size_t size;
    step_init(&got);
    step_init(&expected);
    ck_assert_int_eq(step_cursor_open(&cursor, reader, attempt_of(run), 0, STEP_MAX), 0);
    while ((rc = step_cursor_next(cursor, &got)) == 1) {
        *first = n < 0 ? got.step : *first;
        n = n < 0 ? got.step : n;
        make(&expected, run, n++);
        assert_same_step(&got, &expected);
    }
    ck_assert_msg(rc == 0, "%s", reader_error(reader));
    ck_assert_uint_eq(step_cursor_damage(cursor)->segments, 0);
    step_cursor_close(cursor);
    if (n < 0) { // none of them is left
        n = found.progress.n_steps;
        *first = n;
    }
    if (is_aging) {
        assert_drawn(run, n);
    }
    // What was committed together is there together.
    ck_assert_int_eq(found.progress.n_steps, n);
    ck_assert_int_eq(reader_checkpoint(reader, run + 1, &attempt, &last, &bytes, &size), 1);
    ck_assert_int_eq(last, n - 1);
    free(bytes);
    run_record_free(&found);
    step_free(&got);
    step_free(&expected);
    return n;
}

static struct model read_store(void) {
    struct model m;
    for (int run = 0; run < RUNS; run++) {
        m.n[run] = read_run(run, &m.first[run]);
    }
    return m;
}

static bool same(const struct model *a, const struct model *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

static void assert_integrity(void) {
    struct buf path = new_buf();
    sqlite3 *db;
    sqlite3_stmt *q;
    buf_printf(&path, "%s/" STORE_FILE, directory);
    CHECK(sqlite3_open_v2(buf_str(&path), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(q, 0), "ok");
    sqlite3_finalize(q);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    buf_free(&path);
}

// The store takes a step and packs what there is, and nothing changes by it.
static void assert_goes_on(const struct model *m) {
    struct step s;
    int run = 0;
    while (run < RUNS && m->n[run] < 0) {
        run++;
    }
    if (run == RUNS) {
        return;
    }
    step_init(&s);
    make(&s, run, m->n[run]);
    OK(store_begin(store));
    put_step(attempt_of(run), &s);
    put_tail(run, m->n[run] + 1, RUN_COMPLETED);
    OK(store_commit(store));
    maintain();
    struct model expected = *m;
    expected.n[run]++;
    struct model now = read_store();
    ck_assert(same(&now, &expected));
    step_free(&s);
}

// -- cuts ----------------------------------------------------------------------------------------

struct cut {
    size_t at;
    enum remains remains;
};

// Actions that were acknowledged when the power went.
static size_t done_at(size_t at) {
    size_t done = 0;
    while (done < life.n && life.end[done] <= at) {
        done++;
    }
    return done;
}

// Cuts, opens and reads. What the store holds is left open for more looks: close_cut().
static struct model open_cut(const struct cut *cut, uint64_t *seed) {
    directory = make_directory();
    disk_advance(cut->at);
    disk_cut(directory, cut->remains, seed);
    open_store_as(true);
    assert_integrity();
    return read_store();
}

static void close_cut(void) {
    close_store();
    remove_directory(directory);
}

// What goes by age goes in slices: the store may be between two states.
static bool is_between(const struct model *m, const struct model *before,
                       const struct model *after) {
    for (int run = 0; run < RUNS; run++) {
        if (m->n[run] != before->n[run] || m->n[run] != after->n[run] ||
            m->first[run] < before->first[run] || m->first[run] > after->first[run]) {
            return false;
        }
    }
    return true;
}

static void assert_survives(const struct cut *cut, uint64_t *seed) {
    struct model m = open_cut(cut, seed);
    size_t done = done_at(cut->at);
    bool in_flight = done < life.n && life.begin[done] < cut->at;
    ck_assert_msg(same(&m, &life.after[done]) ||
                      (in_flight && (same(&m, &life.after[done + 1]) ||
                                     is_between(&m, &life.after[done], &life.after[done + 1]))),
                  "cut at operation %zu of %zu, %d remains: the store is not as after action %zu",
                  cut->at, record.n, (int)cut->remains, done);
    assert_goes_on(&m);
    close_cut();
}

static int by_place(const void *a, const void *b) {
    const struct cut *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

// In the order of the record. The caller's, free().
static struct cut *all_cuts(size_t *n, uint64_t *seed) {
    struct cut *cuts = malloc((2 * record.n + RANDOM_CUTS) * sizeof *cuts);
    CHECK(cuts != NULL);
    *n = 0;
    for (size_t i = 0; i < record.n; i++) {
        if (record.ops[i].kind == OP_SYNC || record.ops[i].kind == OP_SYNC_DIRECTORY) {
            cuts[(*n)++] = (struct cut){i, REMAINS_SOME};
            cuts[(*n)++] = (struct cut){i + 1, REMAINS_NOTHING};
        }
    }
    for (size_t i = 0; i < RANDOM_CUTS; i++) {
        cuts[(*n)++] = (struct cut){1 + random_below(seed, record.n),
                                    (enum remains)random_below(seed, REMAINS_COUNT)};
    }
    qsort(cuts, *n, sizeof *cuts, by_place);
    return cuts;
}

// A share of them, still in order.
static void choose(struct cut *cuts, size_t *n, uint64_t *seed) {
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (random_below(seed, *n - i) < SHARE - kept) {
            cuts[kept++] = cuts[i];
        }
    }
    *n = kept;
}

static uint64_t first_seed(void) {
    const char *given = getenv("FAULTS_SEED");
    return given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
}

static bool is_full(void) {
    const char *faults = getenv("FAULTS");
    return faults && strcmp(faults, "all") == 0;
}

static void cut_everywhere(size_t least) {
    uint64_t seed = first_seed();
    size_t n;
    printf("FAULTS_SEED=%llu brings these power cuts back\n", (unsigned long long)seed);
    struct cut *cuts = all_cuts(&n, &seed);
    if (!is_full()) {
        choose(cuts, &n, &seed);
    }
    for (size_t i = 0; i < n; i++) {
        assert_survives(&cuts[i], &seed);
    }
    ck_assert_uint_ge(n, is_full() ? least : SHARE);
    printf("%zu power cuts in a life of %zu operations, %zu acknowledgements\n", n, record.n,
           life.n);
    free(cuts);
    end_life();
}

START_TEST(test_nothing_acknowledged_is_lost) {
    record_life(true);
    cut_everywhere(500);
}
END_TEST

START_TEST(test_what_ages_out_stays_out) {
    record_aging_life();
    cut_everywhere(500);
}
END_TEST

// With `durability: normal` a power cut may cost the newest commits, and nothing else: the store is
// as it was at some moment before. That some are lost here shows that the disk above forgets.
START_TEST(test_normal_loses_the_newest_only) {
    uint64_t seed = first_seed();
    record_life(false);
    size_t lost = 0, n_cuts = is_full() ? 100 : 12;
    for (size_t i = 1; i <= n_cuts; i++) {
        struct cut cut = {record.n * i / n_cuts,
                          i % 2 ? REMAINS_NOTHING : (enum remains)random_below(&seed, 2)};
        struct model m = open_cut(&cut, &seed);
        size_t done = done_at(cut.at), j = done < life.n ? done + 1 : done;
        while (j > 0 && !same(&m, &life.after[j])) {
            j--;
        }
        ck_assert_msg(same(&m, &life.after[j]), "cut at operation %zu: no state of before", cut.at);
        lost += j < done;
        assert_goes_on(&m);
        close_cut();
    }
    ck_assert_uint_gt(lost, 0);
    end_life();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("powercut");
    TCase *cases = tcase_create("powercut");
    tcase_set_timeout(cases, 1800); // FAULTS=all
    tcase_add_test(cases, test_nothing_acknowledged_is_lost);
    tcase_add_test(cases, test_what_ages_out_stays_out);
    tcase_add_test(cases, test_normal_loses_the_newest_only);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
