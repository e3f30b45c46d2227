// GET /api/v1/alerts, POST /api/v1/alerts/{id}/acknowledge
#include "api/alerts.h"

#include "alerts/alerts.h"
#include "alerts/template.h"
#include "api/emit.h"
#include "api/handlers.h"
#include "api/silences.h"
#include "base/num.h"
#include "config/limits.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
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

static const char *const closings[ALERT_CLOSINGS] = {"recovered", "run_ended", "superseded"};

void alert_emit_words(struct emit *e, const char *lines) {
    char *copy = must_copy(lines), *rest = copy;
    for (char *line; rest && *(line = strsep(&rest, "\n"));) {
        char *value = line + strcspn(line, "=");
        *value = '\0';
        emit_text(e, line, value + 1);
    }
    free(copy);
}

void alert_emit_annotations(struct emit *e, const struct alert_record *a) {
    const struct template_facts facts = {.alertname = a->rule,
                                         .run = a->run_name,
                                         .project = a->project,
                                         .layer = a->layer,
                                         .severity = severity_name((enum severity)a->severity),
                                         .labels = a->labels,
                                         .value = a->value,
                                         .threshold = a->threshold,
                                         .step = a->step};
    char *copy = must_copy(a->annotations), *rest = copy;
    struct buf text, error;
    buf_init(&text, LIMIT_CONFIG_TEXT);
    buf_init(&error, 1024);
    for (char *line; rest && *(line = strsep(&rest, "\n"));) {
        char *value = line + strcspn(line, "=");
        *value++ = '\0';
        buf_clear(&text);
        // One that an older version stored as a plain text stays one; so does what grows too long.
        bool filled = template_fill(value, &facts, &text, &error) == 0 && !text.failed;
        emit_text(e, line, filled ? buf_str(&text) : value);
    }
    buf_free(&text);
    buf_free(&error);
    free(copy);
}

static void emit_members(struct emit *e, const struct alert_record *a) {
    bool is_resolved = a->state == ALERT_RESOLVED;
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
    emit_bool(e, "silenced", a->silenced);
    emit_bool(e, "inhibited", a->inhibited);
    emit_bool(e, "no_data", a->no_data);
    emit_text(e, "closed_by",
              is_resolved && a->closed_by < ALERT_CLOSINGS ? closings[a->closed_by] : NULL);
    emit_object(e, "labels");
    alert_emit_words(e, a->labels);
    emit_end(e);
    emit_object(e, "annotations");
    alert_emit_annotations(e, a);
    emit_end(e);
}

static void emit_alert(struct emit *e, const struct alert_record *a) {
    emit_object(e, NULL);
    emit_members(e, a);
    emit_end(e);
}

void alert_json(const struct alert_record *alert, struct buf *out) {
    struct emit e = emit_to(out);
    emit_alert(&e, alert);
}

// Rows come from the store, which does not know what silences say.
static void emit_stored(struct emit *e, const struct alert_record *alert,
                        const struct silence_set *silences) {
    struct alert_record shown = *alert;
    shown.silenced = alert->state != ALERT_RESOLVED && silence_set_matches(silences, alert);
    emit_alert(e, &shown);
}

struct page {
    struct emit *e;
    const struct silence_set *silences;
    int64_t n, limit, last_id;
};

static bool emit_row(void *context, const struct alert_record *alert) {
    struct page *page = context;
    if (page->n++ == page->limit) {
        return false; // one more than asked for: there is another page
    }
    emit_stored(page->e, alert, page->silences);
    page->last_id = alert->id;
    return true;
}

struct alert_record alert_of_trouble(struct board_trouble *trouble) {
    static char rule[] = "store_trouble";
    bool is_over = trouble->ended > 0;
    return (struct alert_record){.rule = rule,
                                 .severity = SEVERITY_CRITICAL,
                                 .state = is_over ? ALERT_RESOLVED : ALERT_FIRING,
                                 .since = -1,
                                 .step = -1,
                                 .started = trouble->began,
                                 .fired = trouble->began,
                                 .resolved = trouble->ended,
                                 .changed = is_over ? trouble->ended : trouble->began,
                                 .value = num_missing(),
                                 .threshold = num_missing(),
                                 .summary = trouble->reason};
}

// First of the first page.
static void emit_trouble(struct emit *e, struct board *board, const struct alert_filter *filter) {
    struct board_trouble trouble;
    if (filter->run || filter->before_id != INT64_MAX || !board_trouble(board, &trouble)) {
        return;
    }
    struct alert_record alert = alert_of_trouble(&trouble);
    if ((filter->state < 0 || filter->state == alert.state) &&
        (filter->severity < 0 || filter->severity == alert.severity)) {
        emit_alert(e, &alert);
    }
}

static enum MHD_Result answer_alerts(struct request *q, const struct alert_filter *filter,
                                     bool none) {
    struct buf json;
    buf_init(&json, ALERTS_BYTES_MAX);
    struct emit e = emit_to(&json);
    struct silence_set silences;
    struct page page = {.e = &e,
                        .silences = &silences,
                        .limit = query_number(&q->query, "limit", LIMIT_PAGE_DEFAULT)};
    emit_object(&e, NULL);
    emit_array(&e, "alerts");
    if (!none) {
        emit_trouble(&e, q->api->board, filter);
    }
    int failed = silence_set_load(&silences, q->reader) ||
                 (!none && reader_alerts(q->reader, filter, page.limit + 1, emit_row, &page) < 0);
    silence_set_free(&silences);
    if (failed) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    emit_end(&e);
    cursor_emit(&e, page.n > page.limit, page.last_id);
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
    struct emit *e; // NULL: only whether it is there
    struct reader *reader;
    struct board *board;
    bool found, with_history;
};

static void emit_change(void *context, const struct alert_change_record *change) {
    struct emit *e = context;
    emit_object(e, NULL);
    emit_text(e, "state", alert_state_name((enum alert_state)change->state));
    emit_text(e, "severity", severity_name((enum severity)change->severity));
    emit_step(e, "step", change->step);
    emit_time(e, "time", change->time);
    emit_number(e, "value", change->value);
    emit_text(e, "summary", change->summary);
    emit_end(e);
}

#define AROUND_STEPS 200 // how far before and behind an alert its readings are worth a look

// A layer's name as a glob that matches nothing else, in a query.
static void put_layer(struct buf *out, const char *name) {
    for (const char *p = name; *p; p++) {
        bool is_plain = isalnum((unsigned char)*p) || strchr("-._~", *p);
        const char *before = strchr("*?[\\", *p) ? "%5C" : "";
        buf_printf(out, is_plain ? "%s%c" : "%s%%%02X", before, (unsigned char)*p);
    }
}

// What a rule of the configuration's own judges; the loss where the rule is gone.
static void put_own_metric(struct buf *out, struct board *board, const char *name) {
    struct ruleset *rules = board_rules(board);
    const char *metric = "loss";
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        const struct rule *r = ruleset_rule(rules, i);
        metric = r->metric && strcmp(r->name, name) == 0 ? r->metric : metric;
    }
    put_layer(out, metric);
    ruleset_release(rules);
}

// The stretch of steps around the alert, and the request for the series that show it.
static void emit_around(struct emit *e, const struct alert_record *a, struct board *board) {
    int64_t from = a->since > AROUND_STEPS ? a->since - AROUND_STEPS : 0;
    int64_t to = (a->step > a->since ? a->step : a->since) + AROUND_STEPS;
    enum rule_id id;
    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "/api/v1/runs/%s/series?metric=", a->run_name);
    if (rule_find(a->rule, &id)) {
        buf_puts(&path, rule_reads(id));
    } else {
        put_own_metric(&path, board, a->rule);
    }
    if (a->layer) {
        buf_puts(&path, "&layer=");
        put_layer(&path, a->layer);
    }
    buf_printf(&path, "&from=%" PRId64 "&to=%" PRId64, from, to);
    emit_object(e, "around");
    emit_integer(e, "from", from);
    emit_integer(e, "to", to);
    emit_text(e, "series", buf_str(&path));
    emit_end(e);
    buf_free(&path);
}

static bool take_wanted(void *context, const struct alert_record *alert) {
    struct wanted *wanted = context;
    wanted->found = alert->id == wanted->id;
    struct silence_set silences;
    if (!wanted->found || !wanted->e || silence_set_load(&silences, wanted->reader)) {
        return false;
    }
    struct alert_record shown = *alert;
    shown.silenced = alert->state != ALERT_RESOLVED && silence_set_matches(&silences, alert);
    silence_set_free(&silences);
    emit_object(wanted->e, NULL);
    emit_members(wanted->e, &shown);
    if (wanted->with_history) {
        emit_around(wanted->e, alert, wanted->board);
        emit_array(wanted->e, "history");
        wanted->found =
            reader_alert_history(wanted->reader, alert->id, emit_change, wanted->e) >= 0;
        emit_end(wanted->e);
    }
    emit_end(wanted->e);
    return false;
}

// 1 when the alert is there, 0 when not, -1 for an error of the store.
static int find_alert(struct request *q, int64_t id, struct emit *e, bool with_history) {
    struct alert_filter filter = {.state = -1, .severity = -1, .before_id = id + 1};
    struct wanted wanted = {.id = id,
                            .e = e,
                            .reader = q->reader,
                            .board = q->api->board,
                            .with_history = with_history};
    return reader_alerts(q->reader, &filter, 1, take_wanted, &wanted) < 0 ? -1 : wanted.found;
}

static bool read_id(const char *text, int64_t *id) {
    size_t len = strlen(text);
    *id = strtoll(text, NULL, 10);
    return len <= 18 && strspn(text, "0123456789") == len;
}

enum MHD_Result alert_acknowledge(struct request *q) {
    struct api_command command = {.type = API_ACKNOWLEDGE_ALERT};
    char message[256] = "";
    int found = read_id(q->part[0], &command.alert) ? find_alert(q, command.alert, NULL, false) : 0;
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
    struct emit e = emit_to(&json);
    if (find_alert(q, command.alert, &e, false) < 0) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    return answer_text(q, MHD_HTTP_OK, TYPE_JSON, &json);
}

enum MHD_Result alert_get(struct request *q) {
    int64_t id;
    struct buf json;
    buf_init(&json, ALERTS_BYTES_MAX);
    struct emit e = emit_to(&json);
    int found = read_id(q->part[0], &id) ? find_alert(q, id, &e, true) : 0;
    if (found == 1) {
        return answer_json(q, &json);
    }
    buf_free(&json);
    return found < 0
               ? answer_store_problem(q)
               : answer_problem(q, MHD_HTTP_NOT_FOUND, "there is no alert \"%.200s\"", q->part[0]);
}

enum MHD_Result alerts_test(struct request *q) {
    int64_t n = 0;
    char message[256] = "";
    struct api_command command = {.type = API_TEST_ALERTS, .id = &n};
    if (q->api->config.command(q->api->config.context, &command, message)) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "no test was sent: %s", message);
    }
    struct buf json;
    buf_init(&json, 64);
    buf_printf(&json, "{\"receivers\":%lld}", (long long)n);
    return answer_text(q, MHD_HTTP_ACCEPTED, TYPE_JSON, &json);
}

enum MHD_Result receivers_get(struct request *q) {
    char *text = board_receivers(q->api->board);
    struct buf json;
    buf_init(&json, ALERTS_BYTES_MAX);
    buf_puts(&json, text);
    free(text);
    return answer_json(q, &json);
}
