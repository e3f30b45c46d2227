// A store in a directory of its own, and short ways to put things into it.
#ifndef TESTS_SUPPORT_STORE_CASE_H
#define TESTS_SUPPORT_STORE_CASE_H

#include "storage/blob.h"
#include "storage/compact.h"
#include "storage/reader.h"
#include "storage/store.h"
#include "tests/unit/support/steps.h"

#include <sqlite3.h>

#define FACTS "{\"protocol\":1,\"run\":\"r\",\"layers\":[{\"name\":\"a\",\"n\":10}]}"

// A test that writes much may do without a sync a commit.
#ifndef STORE_DURABLE
#define STORE_DURABLE true
#endif

static char *directory;
static struct store *store;
static struct reader *reader;
static struct compactor *compactor;
static struct parcel parcel;

static inline void open_store_as(bool durable) {
    struct buf error = new_buf();
    int rc = store_open(&store, directory, durable, &error);
    ck_assert_msg(rc == 0, "%s", buf_str(&error));
    ck_assert_uint_eq(error.len, 0);
    rc = reader_open(&reader, directory, &error);
    ck_assert_msg(rc == 0, "%s", buf_str(&error));
    rc = compactor_open(&compactor, directory, &error);
    ck_assert_msg(rc == 0, "%s", buf_str(&error));
    parcel_init(&parcel);
    buf_free(&error);
}

static inline void open_store(void) {
    open_store_as(STORE_DURABLE);
}

static inline void close_store(void) {
    parcel_free(&parcel);
    compactor_close(compactor);
    compactor = NULL;
    reader_close(reader);
    store_close(store);
    reader = NULL;
    store = NULL;
}

static inline void store_set_up(void) {
    directory = make_directory();
    open_store();
}

static inline void store_tear_down(void) {
    close_store();
    remove_directory(directory);
}

static inline Suite *store_suite(const char *name, const TTest *const *tests, size_t n) {
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, store_set_up, store_tear_down);
    tcase_set_timeout(cases, 120);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return suite;
}

#define OK(call) ck_assert_msg((call) == 0, "%s: %s", #call, store_error(store))

static inline char *text(const char *constant) {
    return (char *)(uintptr_t)constant; // records' strings are borrowed on the way in
}

static inline void put_run(int64_t id, const char *name, const char *project) {
    struct run_record run = {.id = id,
                             .name = text(name),
                             .project = text(project),
                             .started = 1000.0 + (double)id,
                             .facts = text(FACTS),
                             .progress = {.run = id, .first_step = -1, .last_step = -1}};
    OK(store_put_run(store, &run));
}

static inline void put_attempt(int64_t id, int64_t run, int64_t rewind_step, const char *facts) {
    struct attempt_record a = {.id = id,
                               .run = run,
                               .rewind_step = rewind_step,
                               .is_rewind = rewind_step >= 0,
                               .started = 2000.0 + (double)id,
                               .facts = text(facts)};
    OK(store_put_attempt(store, &a));
}

static inline void put_step(int64_t attempt, const struct step *s) {
    struct buf blob = new_buf();
    ck_assert(blob_encode(s, &blob));
    OK(store_put_step(store, attempt, s->step, blob.data, blob.len));
    buf_free(&blob);
}

static inline void put_scalars(int64_t attempt, const struct step *s) {
    struct buf blob = new_buf();
    ck_assert(blob_encode(s, &blob));
    OK(store_put_scalars(store, attempt, s->step, blob.data, blob.len));
    buf_free(&blob);
}

// A step of one layer that can be told by its loss.
static inline void put_small_step(int64_t attempt, int64_t number, double loss) {
    struct step s;
    step_init(&s);
    step_clear(&s, 1);
    s.step = number;
    s.loss = loss;
    put_step(attempt, &s);
    step_free(&s);
}

static inline void put_small_scalars(int64_t attempt, int64_t number, double value) {
    struct step s;
    step_init(&s);
    step_clear(&s, 1);
    s.step = number;
    ck_assert(step_add_scalar(&s, "x", 1, value));
    put_scalars(attempt, &s);
    step_free(&s);
}

static inline void put_event(int64_t run, int64_t attempt, int64_t step, int64_t after_step,
                             const char *name) {
    struct event_record e = {.run = run,
                             .attempt = attempt,
                             .step = step,
                             .after_step = after_step,
                             .time = 5.5,
                             .name = text(name),
                             .data = text(step % 2 ? "{\"k\":1}" : NULL)};
    OK(store_put_event(store, &e));
}

// A parcel, if there is one: 1, 0, -1.
static inline int pack_once(void) {
    int rc = compactor_prepare(compactor, &parcel);
    return rc == 1 ? store_install(store, &parcel) : rc;
}

// A piece of the upkeep that is due: 1, 0, -1.
static inline int maintain_once(bool idle) {
    int rc = pack_once();
    rc = rc ? rc : store_tidy(store, idle);
    store_checkpoint(store);
    return rc;
}

// All of it.
static inline void maintain(void) {
    int rc;
    while ((rc = maintain_once(true)) == 1) {
    }
    ck_assert_msg(rc == 0, "%s %s", store_error(store), compactor_error(compactor));
}

// A second connection, for what no daemon does.
static inline void execute_sql(const char *sql) {
    struct buf path = new_buf();
    sqlite3 *db;
    char *message = NULL;
    buf_printf(&path, "%s/" STORE_FILE, directory);
    CHECK(sqlite3_open(buf_str(&path), &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, message);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    buf_free(&path);
}

#endif
