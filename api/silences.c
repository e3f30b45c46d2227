// GET and POST /api/v1/silences, DELETE /api/v1/silences/{id}
#include "api/silences.h"

#include "alerts/alerts.h"
#include "api/emit.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/limits.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX ((size_t)1 << 24)

static const char *const states[] = {"active", "all", NULL};

const struct parameter silences_parameters[] = {
    {"state", PARAMETER_CHOICE, 0, 0, states,
     "active: those in force or yet to come, also when not given; all: those that ended too"},
    {"limit", PARAMETER_INTEGER, 1, LIMIT_PAGE, NULL, "entries of the answer, 100 when not given"},
    {"cursor", PARAMETER_CURSOR, 0, 0, NULL, "the next_cursor of the page before"},
    {0},
};

// The list in the stored JSON, without the object around it.
static void emit_matchers(struct emit *e, const char *json) {
    const char *list = strchr(json, '[');
    size_t len = list ? strlen(list) : 0;
    emit_raw(e, "matchers", list, len ? len - 1 : 0);
}

static void emit_silence(struct emit *e, const struct silence_record *s) {
    double now = clock_wall_s();
    emit_object(e, NULL);
    emit_integer(e, "id", s->id);
    emit_text(e, "state", now < s->starts ? "pending" : now < s->ends ? "active" : "expired");
    emit_matchers(e, s->matchers);
    emit_time(e, "starts", s->starts);
    emit_time(e, "ends", s->ends);
    emit_text(e, "created_by", s->created_by);
    emit_text(e, "comment", s->comment);
    emit_time(e, "created", s->created);
    emit_end(e);
}

struct page {
    struct emit *e;
    int64_t limit, n, last_id; // one more than the limit is read, to know whether there is a next
};

static void emit_row(void *context, const struct silence_record *s) {
    struct page *page = context;
    if (page->n++ < page->limit) {
        emit_silence(page->e, s);
        page->last_id = s->id;
    }
}

enum MHD_Result silences_get(struct request *q) {
    struct buf json;
    buf_init(&json, BYTES_MAX);
    struct emit e = emit_to(&json);
    double after = query_number(&q->query, "state", 0) == 1 ? 0 : clock_wall_s();
    int64_t before_id = query_number(&q->query, "cursor", INT64_MAX);
    struct page page = {.e = &e, .limit = query_number(&q->query, "limit", LIMIT_PAGE_DEFAULT)};
    emit_object(&e, NULL);
    emit_array(&e, "silences");
    if (reader_silence_page(q->reader, after, before_id, page.limit + 1, emit_row, &page) < 0) {
        buf_free(&json);
        return answer_store_problem(q);
    }
    emit_end(&e);
    cursor_emit(&e, page.n > page.limit, page.last_id);
    emit_end(&e);
    return answer_json(q, &json);
}

static void count(void *context, const struct silence_record *s) {
    (void)s;
    ++*(size_t *)context;
}

static enum MHD_Result answer_created(struct request *q, const struct silence_record *s) {
    struct buf json;
    buf_init(&json, BYTES_MAX);
    struct emit e = emit_to(&json);
    emit_silence(&e, s);
    return answer_text(q, MHD_HTTP_CREATED, TYPE_JSON, &json);
}

static enum MHD_Result put(struct request *q, const struct silence *s, double now) {
    struct buf matchers;
    char message[256] = "";
    buf_init(&matchers, 1 << 16);
    silence_print_matchers(s, &matchers);
    char *text = must_copy(buf_str(&matchers));
    struct silence_record record = {.starts = s->starts,
                                    .ends = s->ends,
                                    .created = now,
                                    .created_by = s->created_by,
                                    .comment = s->comment,
                                    .matchers = text};
    struct api_command command = {.type = API_PUT_SILENCE, .silence = &record, .id = &record.id};
    buf_free(&matchers);
    enum MHD_Result rc = q->api->config.command(q->api->config.context, &command, message) == 0
                             ? answer_created(q, &record)
                             : answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE,
                                              "the silence was not made: %s", message);
    free(text);
    return rc;
}

static bool has_label(const struct ruleset *rules, const char *name) {
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        const struct rule_word *labels = ruleset_rule(rules, i)->labels;
        for (size_t k = 0; k < RULE_WORDS_MAX && labels[k].key; k++) {
            if (strcmp(labels[k].key, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

// A label that no rule in force has is a slip: the silence would hold back nothing, or with a
// matcher that must not match, everything.
static int check_labels(const struct silence *s, struct board *board, struct buf *error) {
    struct ruleset *rules = board_rules(board);
    int rc = 0;
    for (size_t i = 0; i < s->n_matchers && rc == 0; i++) {
        const char *own = silence_own_label(s, i);
        if (own && !has_label(rules, own)) {
            buf_printf(error,
                       "no rule in force has a label \"%s\"; expected rule, run, project, layer, "
                       "severity or a label of a rule",
                       own);
            rc = -1;
        }
    }
    ruleset_release(rules);
    return rc;
}

static int parse(struct silence *s, struct request *q, double now, struct buf *error) {
    if (silence_parse(s, buf_str(&q->upload), q->upload.len, now, error)) {
        return -1;
    }
    int rc = check_labels(s, q->api->board, error);
    if (rc) {
        silence_free(s);
    }
    return rc;
}

enum MHD_Result silences_post(struct request *q) {
    struct silence s;
    struct buf error;
    size_t n = 0;
    double now = clock_wall_s();
    if (reader_silences(q->reader, now, count, &n) < 0) {
        return answer_store_problem(q);
    }
    if (n >= LIMIT_SILENCES) {
        return answer_problem(q, MHD_HTTP_CONFLICT, "there are %d silences; end one first",
                              LIMIT_SILENCES);
    }
    buf_init(&error, 4096);
    enum MHD_Result rc;
    if (parse(&s, q, now, &error)) {
        rc = answer_problem(q, MHD_HTTP_BAD_REQUEST, "%s; no silence was made", buf_str(&error));
    } else {
        rc = put(q, &s, now);
        silence_free(&s);
    }
    buf_free(&error);
    return rc;
}

struct wanted {
    int64_t id;
    bool found;
};

static void look(void *context, const struct silence_record *s) {
    struct wanted *wanted = context;
    wanted->found = wanted->found || s->id == wanted->id;
}

enum MHD_Result silence_delete(struct request *q) {
    char message[256] = "";
    struct wanted wanted = {.id = strtoll(q->part[0], NULL, 10)};
    if (reader_silences(q->reader, clock_wall_s(), look, &wanted) < 0) {
        return answer_store_problem(q);
    }
    if (!wanted.found) {
        return answer_problem(q, MHD_HTTP_NOT_FOUND,
                              "there is no silence \"%.100s\" that is in force or to come",
                              q->part[0]);
    }
    struct api_command command = {.type = API_END_SILENCE, .id = &wanted.id};
    if (q->api->config.command(q->api->config.context, &command, message)) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "silence %s was not ended: %s",
                              q->part[0], message);
    }
    return answer_nothing(q, MHD_HTTP_NO_CONTENT);
}

static void load(void *context, const struct silence_record *record) {
    struct silence_set *set = context;
    struct silence s = {.id = record->id, .starts = record->starts, .ends = record->ends};
    struct buf why;
    buf_init(&why, 1024);
    if (set->n < LIMIT_SILENCES &&
        silence_parse_matchers(&s, record->matchers, strlen(record->matchers), &why) == 0) {
        set->list[set->n++] = s;
    } else {
        silence_free(&s);
    }
    buf_free(&why);
}

int silence_set_load(struct silence_set *s, struct reader *r) {
    *s = (struct silence_set){.list = must_alloc(LIMIT_SILENCES * sizeof *s->list)};
    return reader_silences(r, clock_wall_s(), load, s) < 0 ? -1 : 0;
}

void silence_set_free(struct silence_set *s) {
    for (size_t i = 0; i < s->n; i++) {
        silence_free(&s->list[i]);
    }
    free(s->list);
    *s = (struct silence_set){0};
}

bool silence_set_matches(const struct silence_set *s, const struct alert_record *a) {
    const struct silence_subject subject = {
        .label = {[SILENCE_RULE] = a->rule,
                  [SILENCE_RUN] = a->run_name ? a->run_name : "",
                  [SILENCE_PROJECT] = a->project ? a->project : "",
                  [SILENCE_LAYER] = a->layer ? a->layer : "",
                  [SILENCE_SEVERITY] = severity_name((enum severity)a->severity)},
        .own = a->labels};
    double now = clock_wall_s();
    for (size_t i = 0; i < s->n; i++) {
        if (silence_is_active(&s->list[i], now) && silence_matches(&s->list[i], &subject)) {
            return true;
        }
    }
    return false;
}
