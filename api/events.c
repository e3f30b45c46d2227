// GET /api/v1/runs/{run}/events
#include "api/emit.h"
#include "api/find.h"
#include "api/handlers.h"
#include "config/limits.h"
#include "wire/json.h"
#include "wire/step.h"

#include <string.h>

#define EVENTS_BYTES_MAX ((size_t)1 << 28)

const struct parameter events_parameters[] = {
    {"from", PARAMETER_INTEGER, 0, STEP_MAX, NULL, "first step"},
    {"to", PARAMETER_INTEGER, 0, STEP_MAX, NULL, "last step"},
    {"limit", PARAMETER_INTEGER, 1, LIMIT_PAGE, NULL, "entries of the answer, 100 when not given"},
    {"cursor", PARAMETER_CURSOR, 0, 0, NULL, "the next_cursor of the page before"},
    {0},
};

struct page {
    struct emit *e;
    int64_t n, limit, last_id;
};

static void emit_data(struct emit *e, const char *data) {
    if (!data) {
        emit_null(e, "data");
        return;
    }
    struct buf quoted;
    buf_init(&quoted, 16 * LIMIT_EVENT_DATA_BYTES);
    json_quote_nonfinite(data, strlen(data), &quoted);
    emit_raw(e, "data", buf_str(&quoted), quoted.len);
    buf_free(&quoted);
}

static bool emit_event(void *context, const struct event_record *event) {
    struct page *page = context;
    if (page->n++ == page->limit) {
        return false; // one more than asked for: there is another page
    }
    struct emit *e = page->e;
    emit_object(e, NULL);
    emit_integer(e, "id", event->id);
    emit_integer(e, "attempt", event->attempt);
    emit_step(e, "step", event->step);
    emit_step(e, "after_step", event->after_step);
    emit_time(e, "time", event->time);
    emit_text(e, "name", event->name);
    emit_data(e, event->data);
    emit_end(e);
    page->last_id = event->id;
    return true;
}

static enum MHD_Result answer_events(struct request *q, const struct run_record *run,
                                     const struct event_filter *filter) {
    struct buf json;
    buf_init(&json, EVENTS_BYTES_MAX);
    struct emit e = emit_to(&json);
    struct page page = {.e = &e, .limit = query_number(&q->query, "limit", LIMIT_PAGE_DEFAULT)};
    emit_object(&e, NULL);
    emit_text(&e, "run", run->name);
    emit_array(&e, "events");
    if (reader_events(q->reader, run->id, filter, page.limit + 1, emit_event, &page) < 0) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    emit_end(&e);
    cursor_emit(&e, page.n > page.limit, page.last_id);
    emit_end(&e);
    return answer_json(q, &json);
}

enum MHD_Result events_get(struct request *q) {
    struct event_filter filter = {.from = query_number(&q->query, "from", INT64_MIN),
                                  .to = query_number(&q->query, "to", INT64_MAX),
                                  .after_id = query_number(&q->query, "cursor", 0)};
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    rc = filter.from > filter.to
             ? answer_problem(q, MHD_HTTP_BAD_REQUEST,
                              "from is %lld and to is %lld; expected from <= to",
                              (long long)filter.from, (long long)filter.to)
             : answer_events(q, run.record, &filter);
    found_release(&run);
    return rc;
}
