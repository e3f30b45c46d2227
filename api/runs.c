// GET /api/v1/runs, GET and DELETE /api/v1/runs/{run}
#include "api/emit.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/reading.h"
#include "base/memory.h"
#include "config/limits.h"
#include "wire/json.h"

#include <string.h>

#define RUN_BYTES_MAX ((size_t)1 << 28)

static const char *const statuses[] = {"running", "stalled", "completed",
                                       "failed",  "stopped", NULL};

const struct parameter runs_parameters[] = {
    {"project", PARAMETER_TEXT, 0, 0, NULL, "only runs of this project"},
    {"status", PARAMETER_CHOICE, 0, 0, statuses, "only runs with this status"},
    {"limit", PARAMETER_INTEGER, 1, LIMIT_PAGE, NULL, "entries of the answer, 100 when not given"},
    {"cursor", PARAMETER_CURSOR, 0, 0, NULL, "the next_cursor of the page before"},
    {0},
};

// What lists and single runs have in common.
static void emit_progress(struct emit *e, const struct run_record *r) {
    emit_text(e, "run", r->name);
    emit_text(e, "project", r->project && *r->project ? r->project : NULL);
    emit_text(e, "status", run_status_name(r->progress.status));
    emit_time(e, "started", r->started);
    emit_time(e, "last_seen", r->progress.last_seen);
    emit_time(e, "ended", r->progress.end_time);
    emit_step(e, "first_step", r->progress.first_step);
    emit_step(e, "last_step", r->progress.last_step);
    emit_integer(e, "steps", r->progress.n_steps);
    emit_number(e, "loss", r->progress.loss);
}

static int emit_alerts(struct emit *e, struct reader *reader, int64_t run) {
    int64_t counts[3];
    if (reader_alert_counts(reader, run, counts)) {
        return -1;
    }
    emit_object(e, "alerts");
    for (int state = 0; state < 3; state++) {
        emit_integer(e, alert_state_name((enum alert_state)state), counts[state]);
    }
    emit_end(e);
    return 0;
}

// The page being gathered: records first, so that no statement is open while others are asked.
struct page {
    struct run_record *runs;
    size_t n, limit;
};

static bool keep_run(void *context, const struct run_record *run) {
    struct page *page = context;
    struct run_record *kept = &page->runs[page->n++];
    *kept = (struct run_record){.id = run->id, .started = run->started, .progress = run->progress};
    kept->name = must_copy(run->name);
    kept->project = must_copy(run->project);
    return page->n <= page->limit;
}

static int emit_list_entry(struct emit *e, const struct request *q,
                           const struct run_record *stored) {
    struct snapshot *live = find_live(q->api, stored);
    emit_object(e, NULL);
    emit_progress(e, live ? &live->record : stored);
    if (live) {
        reading_emit(e, "temperature", live, READING_ALONE);
    } else {
        emit_null(e, "temperature");
    }
    int rc = emit_alerts(e, q->reader, stored->id);
    emit_end(e);
    snapshot_unref(live);
    return rc;
}

static int emit_list(struct emit *e, const struct request *q, const struct page *page) {
    size_t shown = page->n <= page->limit ? page->n : page->limit;
    emit_object(e, NULL);
    emit_array(e, "runs");
    for (size_t i = 0; i < shown; i++) {
        if (emit_list_entry(e, q, &page->runs[i])) {
            return -1;
        }
    }
    emit_end(e);
    cursor_emit(e, shown < page->n, shown ? page->runs[shown - 1].id : 0);
    emit_end(e);
    return 0;
}

static enum MHD_Result answer_page(struct request *q, struct page *page, uint64_t version) {
    struct run_filter filter = {.project = query_text(&q->query, "project"),
                                .before_id = query_number(&q->query, "cursor", INT64_MAX)};
    int64_t status = query_number(&q->query, "status", -1);
    enum run_status wanted = RUN_RUNNING;
    if (status >= 0 && run_status_find(statuses[status], &wanted)) {
        filter.status = &wanted;
    }
    struct reader *reader = q->reader;
    struct buf json;
    buf_init(&json, RUN_BYTES_MAX);
    struct emit e = emit_to(&json);
    if (reader_runs(reader, &filter, (int64_t)page->limit + 1, keep_run, page) < 0 ||
        emit_list(&e, q, page)) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    return answer_shelved(q, q->address, version, &json, TYPE_JSON);
}

static enum MHD_Result make_list(struct request *q) {
    enum MHD_Result shelved;
    if (request_shelved(q, q->address, &shelved)) { // made while this request waited for a worker
        return shelved;
    }
    uint64_t version = board_version(q->api->board); // what changes from now on is not in it
    struct page page = {.limit = (size_t)query_number(&q->query, "limit", LIMIT_PAGE_DEFAULT)};
    page.runs = must_alloc((page.limit + 1) * sizeof *page.runs);
    enum MHD_Result rc = MHD_NO;
    if (reader_begin(q->reader)) {
        rc = answer_store_problem(q);
    } else {
        rc = answer_page(q, &page, version);
        reader_end(q->reader);
    }
    for (size_t i = 0; i < page.n; i++) {
        run_record_free(&page.runs[i]);
    }
    free(page.runs);
    return rc;
}

enum MHD_Result runs_get(struct request *q) {
    enum MHD_Result rc;
    return request_shelved(q, q->address, &rc) ? rc : request_defer(q, make_list, false);
}

// A fact of the hello under a name of its own; null when the job did not say.
static void emit_fact(struct emit *e, const char *key, const char *facts, const char *name) {
    struct slice value;
    if (json_member(facts, strlen(facts), name, &value)) {
        emit_raw(e, key, value.text, value.len);
    } else {
        emit_null(e, key);
    }
}

static void emit_facts(struct emit *e, const char *facts) {
    static const char *const same[] = {"layers", "optimizer", "batch_size", "dataset_size",
                                       "tags",   "rank",      "world_size"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        emit_fact(e, same[i], facts, same[i]);
    }
    emit_fact(e, "loss_function", facts, "loss");
    emit_raw(e, "hello", facts, strlen(facts));
}

static void emit_attempt(struct emit *e, const struct attempt_record *a) {
    emit_object(e, NULL);
    emit_integer(e, "id", a->id);
    emit_time(e, "started", a->started);
    emit_bool(e, "rewind", a->is_rewind);
    emit_step(e, "rewind_step", a->rewind_step);
    emit_end(e);
}

static int emit_attempts(struct emit *e, struct reader *reader, int64_t run) {
    struct attempt_record *attempts;
    size_t n;
    int rc = reader_attempts(reader, run, &attempts, &n);
    emit_array(e, "attempts");
    for (size_t i = 0; i < n; i++) {
        emit_attempt(e, &attempts[i]);
        attempt_record_free(&attempts[i]);
    }
    emit_end(e);
    free(attempts);
    return rc;
}

static int emit_run(struct emit *e, struct reader *reader, const struct found *run,
                    const struct body *reading) {
    struct buf facts;
    buf_init(&facts, RUN_BYTES_MAX);
    json_quote_nonfinite(run->record->facts, strlen(run->record->facts), &facts);
    emit_object(e, NULL);
    emit_progress(e, run->record);
    emit_facts(e, buf_str(&facts));
    buf_free(&facts);
    int rc = emit_attempts(e, reader, run->record->id);
    emit_raw(e, "temperature", reading->plain.data, reading->plain.len);
    rc = emit_alerts(e, reader, run->record->id) || rc ? -1 : 0;
    emit_end(e);
    return rc;
}

static enum MHD_Result answer_run(struct request *q, const struct found *run, struct snapshot *s) {
    struct body *reading = reading_body(s, READING_FULL);
    if (!reading) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the reading is too large");
    }
    struct buf json;
    buf_init(&json, RUN_BYTES_MAX);
    struct emit e = emit_to(&json);
    int rc = emit_run(&e, q->reader, run, reading);
    body_unref(reading);
    if (rc) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    return answer_json(q, &json);
}

enum MHD_Result run_get(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    struct snapshot *s = reading_snapshot(q, &run);
    rc = s ? answer_run(q, &run, s) : answer_store_problem(q);
    snapshot_unref(s);
    found_release(&run);
    return rc;
}

enum MHD_Result run_delete(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    found_release(&run);
    struct api_command command = {.type = API_DELETE_RUN, .run = q->part[0]};
    char message[256] = "";
    int result = q->api->config.command(q->api->config.context, &command, message);
    if (result == 0) {
        return answer_nothing(q, MHD_HTTP_NO_CONTENT);
    }
    return answer_problem(q, result > 0 ? MHD_HTTP_NOT_FOUND : MHD_HTTP_SERVICE_UNAVAILABLE,
                          "run \"%s\" was not forgotten: %s", q->part[0], message);
}
