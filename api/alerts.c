// GET /api/v1/alerts, POST /api/v1/alerts/{id}/acknowledge
#include "api/alerts.h"

#include "alerts/alerts.h"
#include "api/emit.h"
#include "api/handlers.h"
#include "config/limits.h"

#include <string.h>

#define ALERTS_BYTES_MAX ((size_t)1 << 26)

static const char *const states[] = {"pending", "firing", "resolved", NULL};
static const char *const severities[] = {"info", "warning", "critical", NULL};

const struct parameter alerts_parameters[] = {
    {"state", PARAMETER_CHOICE, 0, 0, states, "only alerts in this state"},
    {"run", PARAMETER_TEXT, 0, 0, NULL, "only alerts of this run"},
    {"severity", PARAMETER_CHOICE, 0, 0, severities, "only alerts of this severity"},
    {"limit", PARAMETER_INTEGER, 1, LIMIT_PAGE, NULL, "entries of the answer, 100 when not given"},
    {"cursor", PARAMETER_CURSOR, 0, 0, NULL, "the next_cursor of the page before"},
    {0},
};

static void emit_alert(struct emit *e, const struct alert_record *a) {
    emit_object(e, NULL);
    emit_integer(e, "id", a->id);
    emit_text(e, "rule", a->rule);
    emit_text(e, "severity", severity_name((enum severity)a->severity));
    emit_text(e, "state", alert_state_name((enum alert_state)a->state));
    emit_text(e, "run", a->run_name);
    emit_text(e, "layer", a->layer);
    emit_step(e, "step", a->step);
    emit_step(e, "since", a->since);
    emit_integer(e, "group", a->group ? a->group : a->id);
    emit_time(e, "started", a->started);
    emit_time(e, "resolved", a->resolved);
    emit_number(e, "value", a->value);
    emit_number(e, "threshold", a->threshold);
    emit_text(e, "summary", a->summary);
    emit_time(e, "acknowledged", a->acknowledged);
    emit_bool(e, "silenced", false);
    emit_end(e);
}

void alert_json(const struct alert_record *alert, struct buf *out) {
    struct emit e = emit_to(out);
    emit_alert(&e, alert);
}

struct page {
    struct emit *e;
    int64_t n, limit, last_id;
};

static bool emit_row(void *context, const struct alert_record *alert) {
    struct page *page = context;
    if (page->n++ == page->limit) {
        return false; // one more than asked for: there is another page
    }
    emit_alert(page->e, alert);
    page->last_id = alert->id;
    return true;
}

static enum MHD_Result answer_alerts(struct request *q, const struct alert_filter *filter,
                                     bool none) {
    struct buf json;
    buf_init(&json, ALERTS_BYTES_MAX);
    struct emit e = emit_to(&json);
    struct page page = {.e = &e, .limit = query_number(&q->query, "limit", LIMIT_PAGE_DEFAULT)};
    emit_object(&e, NULL);
    emit_array(&e, "alerts");
    if (!none && reader_alerts(q->reader, filter, page.limit + 1, emit_row, &page) < 0) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    emit_end(&e);
    struct buf cursor;
    buf_init(&cursor, 32);
    cursor_print(&cursor, page.last_id);
    emit_text(&e, "next_cursor", page.n > page.limit ? buf_str(&cursor) : NULL);
    buf_free(&cursor);
    emit_end(&e);
    return answer_json(q, &json);
}

enum MHD_Result alerts_get(struct request *q) {
    struct alert_filter filter = {.state = (int)query_number(&q->query, "state", -1),
                                  .severity = (int)query_number(&q->query, "severity", -1),
                                  .before_id = query_number(&q->query, "cursor", INT64_MAX)};
    const char *name = query_text(&q->query, "run");
    int found = 1;
    if (name) {
        struct run_record run;
        found = reader_find_run(q->reader, name, &run);
        if (found == 1) {
            filter.run = run.id;
            run_record_free(&run);
        }
    }
    return found < 0 ? answer_store_problem(q) : answer_alerts(q, &filter, found == 0);
}

struct wanted {
    int64_t id;
    struct buf *json; // NULL: only whether it is there
    bool found;
};

static bool take_wanted(void *context, const struct alert_record *alert) {
    struct wanted *wanted = context;
    wanted->found = alert->id == wanted->id;
    if (wanted->found && wanted->json) {
        alert_json(alert, wanted->json);
    }
    return false;
}

// 1 when the alert is there, 0 when not, -1 for an error of the store.
static int find_alert(struct reader *r, int64_t id, struct buf *json) {
    struct alert_filter filter = {.state = -1, .severity = -1, .before_id = id + 1};
    struct wanted wanted = {.id = id, .json = json};
    return reader_alerts(r, &filter, 1, take_wanted, &wanted) < 0 ? -1 : wanted.found;
}

static bool read_id(const char *text, int64_t *id) {
    size_t len = strlen(text);
    *id = strtoll(text, NULL, 10);
    return len <= 18 && strspn(text, "0123456789") == len;
}

enum MHD_Result alert_acknowledge(struct request *q) {
    struct api_command command = {.type = API_ACKNOWLEDGE_ALERT};
    char message[256] = "";
    int found =
        read_id(q->part[0], &command.alert) ? find_alert(q->reader, command.alert, NULL) : 0;
    int failed = found == 1 ? q->api->config.command(q->api->config.context, &command, message) : 0;
    if (found < 0) {
        return answer_store_problem(q);
    }
    if (found == 0 || failed > 0) {
        return answer_problem(q, MHD_HTTP_NOT_FOUND, "there is no alert \"%.200s\"", q->part[0]);
    }
    if (failed < 0) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "alert %s was not acknowledged: %s",
                              q->part[0], message);
    }
    struct buf json;
    buf_init(&json, ALERTS_BYTES_MAX);
    if (find_alert(q->reader, command.alert, &json) < 0) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    return answer_text(q, MHD_HTTP_OK, TYPE_JSON, &json);
}
