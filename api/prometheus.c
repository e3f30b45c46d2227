// The part of Prometheus' query API that plots series: below /prometheus/api/v1. Expressions are
// instant selectors and constants, nothing else. Parameters come in the address or as a form.
#include "api/emit.h"
#include "api/handlers.h"
#include "api/metrics.h"
#include "api/plots.h"
#include "api/server.h"
#include "api/texts.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/num.h"
#include "config/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BYTES_MAX ((size_t)1 << 28)
#define TIMES_MAX 11000    // evaluations, as in Prometheus
#define POINTS_MAX 1000000 // of all series
#define RUNS_MAX LIMIT_PAGE
#define SELECTORS_MAX 8

#define EXTRAS                                                                                     \
    {"timeout", PARAMETER_TEXT, 0, 0, NULL, "not used"},                                           \
        {"limit", PARAMETER_TEXT, 0, 0, NULL, "not used"}, {                                       \
        "stats", PARAMETER_TEXT, 0, 0, NULL, "not used"                                            \
    }
#define RANGE                                                                                      \
    {"start", PARAMETER_TEXT, 0, 0, NULL, "seconds since the epoch"}, {                            \
        "end", PARAMETER_TEXT, 0, 0, NULL, "seconds since the epoch"                               \
    }
#define SELECTORS                                                                                  \
    { "match[]", PARAMETER_TEXTS, 0, 0, NULL, "a selector; may be repeated" }

const struct parameter prom_query_parameters[] = {
    {"query", PARAMETER_TEXT, 0, 0, NULL, "a selector of series, or a constant"},
    {"time", PARAMETER_TEXT, 0, 0, NULL, "seconds since the epoch; now when not given"},
    EXTRAS,
    {0},
};
const struct parameter prom_range_parameters[] = {
    {"query", PARAMETER_TEXT, 0, 0, NULL, "a selector of series, or a constant"},
    RANGE,
    {"step", PARAMETER_TEXT, 0, 0, NULL, "between evaluations, seconds or a duration as 15s"},
    EXTRAS,
    {0},
};
const struct parameter prom_match_parameters[] = {SELECTORS, RANGE, EXTRAS, {0}};

// One request at work.
struct evaluation {
    struct request *q;
    struct query form; // of a POST
    const struct query *query;
    struct selector selectors[SELECTORS_MAX];
    size_t n_selectors;
    double start, end, step;
    struct plot_times times;
    struct plots plots;
    bool draws, own;
    bool grew; // more points than there may be
    uint64_t deadline_ns;
};

static enum MHD_Result answer_prom(struct request *q, unsigned status, struct buf *json) {
    return status == MHD_HTTP_OK ? answer_json(q, json) : answer_text(q, status, TYPE_JSON, json);
}

// Prometheus' own form of errors, as its clients want it.
static enum MHD_Result fail(struct request *q, unsigned status, const char *type,
                            const char *problem) {
    struct buf json;
    buf_init(&json, 1 << 16);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    emit_text(&e, "status", "error");
    emit_text(&e, "errorType", type);
    emit_text(&e, "error", problem);
    emit_end(&e);
    return answer_prom(q, status, &json);
}

static enum MHD_Result fail_data(struct request *q, const char *problem) {
    return fail(q, MHD_HTTP_BAD_REQUEST, "bad_data", problem);
}

// Seconds, or with `durations` a number with a unit.
static bool read_seconds(const char *text, bool durations, double *x) {
    static const char units[] = "smhdw";
    static const double lengths[] = {1, 60, 3600, 86400, 604800};
    const char *end = text + strlen(text);
    size_t len = num_parse(text, end, x);
    const char *unit = text + len;
    if (len == 0 || !isfinite(*x) || fabs(*x) > 1e12) {
        return false;
    }
    if (durations && strcmp(unit, "ms") == 0) {
        *x /= 1000;
        return true;
    }
    const char *known = durations && *unit && !unit[1] ? strchr(units, *unit) : NULL;
    if (known) {
        *x *= lengths[known - units];
    }
    return known || *unit == '\0';
}

// Where the parameter is given it must be good; else *x stays.
static bool take_seconds(const struct evaluation *v, const char *name, bool durations, double *x,
                         struct buf *problem) {
    const char *text = query_text(v->query, name);
    if (text && !read_seconds(text, durations, x)) {
        buf_printf(problem, "%s is \"%.60s\"; expected %s", name, text,
                   durations ? "seconds as 15 or a duration as 15s" : "seconds since the epoch");
        return false;
    }
    return true;
}

static int take_selector(struct evaluation *v, const char *text, struct buf *problem) {
    if (v->n_selectors == SELECTORS_MAX) {
        buf_printf(problem, "at most %d selectors", SELECTORS_MAX);
        return -1;
    }
    return selector_parse(&v->selectors[v->n_selectors++], text, problem);
}

static int take_range(struct evaluation *v, struct buf *problem) {
    if (!query_text(v->query, "start") || !query_text(v->query, "end") ||
        !query_text(v->query, "step")) {
        buf_puts(problem, "expected query, start, end and step");
        return -1;
    }
    if (v->end < v->start || v->step < 0.001 || (v->end - v->start) / v->step >= TIMES_MAX) {
        buf_printf(problem, "expected start <= end, a step of at least 1 ms and at most %d of them",
                   TIMES_MAX);
        return -1;
    }
    v->times = (struct plot_times){v->start, v->step,
                                   (size_t)floor((v->end - v->start) / v->step + 1e-9) + 1};
    return 0;
}

static bool has_time(const struct evaluation *v) {
    return api_progress(v->q->api) && clock_monotonic_ns() < v->deadline_ns;
}

static enum outcome take_run(struct evaluation *v, const struct run_record *run) {
    int overlaps = plots_overlap(v->q->reader, run, v->start, v->end);
    enum outcome outcome = overlaps < 0 ? STORE_FAILED : DRAWN;
    for (size_t i = 0; outcome == DRAWN && overlaps && i < v->n_selectors; i++) {
        size_t from = v->plots.n;
        if (plots_add_run(&v->plots, v->q->reader, run, &v->selectors[i], v->own)) {
            return STORE_FAILED;
        }
        v->grew = v->grew || (v->draws && v->plots.n * v->times.n > POINTS_MAX);
        if (v->draws && v->plots.n > from && !v->plots.too_many && !v->grew) {
            outcome = plots_draw(&v->plots, from, v->q, run, &v->times, v->deadline_ns);
        }
    }
    return outcome != DRAWN || has_time(v) ? outcome : OUT_OF_TIME;
}

struct runs {
    char *name[RUNS_MAX];
    size_t n;
};

static bool note_run(void *context, const struct run_record *run) {
    struct runs *runs = context;
    runs->name[runs->n++] = must_copy(run->name);
    return true;
}

// Goes through the newest runs within one state of the store.
static enum outcome take_runs(struct evaluation *v) {
    struct run_filter newest = {.before_id = INT64_MAX};
    struct reader *r = v->q->reader;
    struct runs *runs = NEW(struct runs);
    v->deadline_ns = request_deadline_ns();
    enum outcome outcome = STORE_FAILED;
    if (reader_begin(r) == 0) {
        outcome =
            reader_runs(r, &newest, RUNS_MAX, note_run, runs) < 0 ? STORE_FAILED : DRAWN;
        for (size_t i = 0; outcome == DRAWN && i < runs->n; i++) {
            struct run_record run;
            int found = reader_find_run(r, runs->name[i], &run);
            outcome = found < 0 ? STORE_FAILED : found ? take_run(v, &run) : DRAWN;
            if (found == 1) {
                run_record_free(&run);
            }
        }
        reader_end(r);
    }
    for (size_t i = 0; i < runs->n; i++) {
        free(runs->name[i]);
    }
    free(runs);
    return outcome;
}

// True when all went well; else the request has been answered.
static bool evaluate(struct evaluation *v, enum MHD_Result *rc) {
    char detail[80];
    switch (take_runs(v)) {
    case DRAWN:
        break;
    case OUT_OF_TIME:
        snprintf(detail, sizeof detail, "this took more than %d s; name fewer series",
                 LIMIT_HTTP_REQUEST_S);
        *rc = fail(v->q, MHD_HTTP_SERVICE_UNAVAILABLE, "timeout", detail);
        return false;
    case STORE_FAILED:
        *rc = fail(v->q, MHD_HTTP_SERVICE_UNAVAILABLE, "internal", "the store could not be read");
        return false;
    case OUT_OF_MEMORY:
        *rc = fail(v->q, MHD_HTTP_SERVICE_UNAVAILABLE, "internal", "no memory for so many points");
        return false;
    }
    if (v->plots.too_many || v->grew) {
        *rc = fail(v->q, MHD_HTTP_UNPROCESSABLE_CONTENT, "execution",
                   "more than 1000 series or 1,000,000 points; name fewer series or a longer step");
    }
    return !v->plots.too_many && !v->grew;
}

static void emit_labels(struct emit *e, const char *key, const struct plot *p) {
    char name[80];
    struct label labels[PLOT_LABELS + 1];
    size_t n = plot_labels(p, name, labels);
    emit_object(e, key);
    for (size_t i = 0; i < n; i++) {
        emit_text(e, labels[i].name, labels[i].value);
    }
    emit_end(e);
}

static void emit_sample(struct emit *e, const char *key, double time, double value) {
    struct buf text;
    buf_init(&text, 64);
    buf_printf(&text, "%.3f", time);
    emit_array(e, key);
    emit_raw(e, NULL, buf_str(&text), text.len);
    buf_clear(&text);
    metrics_put_number(&text, value);
    emit_text(e, NULL, buf_str(&text));
    emit_end(e);
    buf_free(&text);
}

static struct emit begin_answer(struct buf *json) {
    buf_init(json, BYTES_MAX);
    struct emit e = emit_to(json);
    emit_object(&e, NULL);
    emit_text(&e, "status", "success");
    return e;
}

static void emit_plot(struct emit *e, const struct evaluation *v, const struct plot *p,
                      bool is_range) {
    emit_object(e, NULL);
    emit_labels(e, "metric", p);
    if (is_range) {
        emit_array(e, "values");
    }
    for (size_t i = 0; i < p->n_points; i++) {
        emit_sample(e, is_range ? NULL : "value",
                    v->times.start + (double)p->points[i].at * v->times.step, p->points[i].value);
    }
    if (is_range) {
        emit_end(e);
    }
    emit_end(e);
}

static enum MHD_Result answer_plots(struct evaluation *v, bool is_range) {
    struct buf json;
    struct emit e = begin_answer(&json);
    emit_object(&e, "data");
    emit_text(&e, "resultType", is_range ? "matrix" : "vector");
    emit_array(&e, "result");
    for (size_t i = 0; i < v->plots.n; i++) {
        if (v->plots.at[i].n_points) {
            emit_plot(&e, v, &v->plots.at[i], is_range);
        }
    }
    emit_end(&e);
    emit_end(&e);
    emit_end(&e);
    return answer_prom(v->q, MHD_HTTP_OK, &json);
}

static enum MHD_Result answer_constant(struct evaluation *v, bool is_range, double value) {
    struct buf json;
    struct emit e = begin_answer(&json);
    emit_object(&e, "data");
    emit_text(&e, "resultType", is_range ? "matrix" : "scalar");
    if (is_range) {
        emit_array(&e, "result");
        emit_object(&e, NULL);
        emit_object(&e, "metric");
        emit_end(&e);
        emit_array(&e, "values");
        for (size_t i = 0; i < v->times.n; i++) {
            emit_sample(&e, NULL, v->times.start + (double)i * v->times.step, value);
        }
        emit_end(&e);
        emit_end(&e);
        emit_end(&e);
    } else {
        emit_sample(&e, "result", v->times.start, value);
    }
    emit_end(&e);
    emit_end(&e);
    return answer_prom(v->q, MHD_HTTP_OK, &json);
}

// 0, or -1 with a problem.
static int take_query(struct evaluation *v, bool is_range, bool *is_constant, double *constant,
                      struct buf *problem) {
    const char *text = query_text(v->query, "query");
    v->start = clock_wall_s();
    if (!take_seconds(v, "time", false, &v->start, problem)) {
        return -1;
    }
    v->end = v->start;
    if (!take_seconds(v, "start", false, &v->start, problem) ||
        !take_seconds(v, "end", false, &v->end, problem) ||
        !take_seconds(v, "step", true, &v->step, problem)) {
        return -1;
    }
    v->times = (struct plot_times){v->start, 0, 1};
    if (is_range && take_range(v, problem)) {
        return -1;
    }
    if (!text) {
        buf_puts(problem, "expected a query");
        return -1;
    }
    *is_constant = selector_constant(text, constant);
    return *is_constant ? 0 : take_selector(v, text, problem);
}

static enum MHD_Result answer_query(struct evaluation *v, bool is_range, struct buf *problem) {
    bool is_constant = false;
    double constant = 0;
    enum MHD_Result rc;
    if (take_query(v, is_range, &is_constant, &constant, problem)) {
        return fail_data(v->q, buf_str(problem));
    }
    if (is_constant) {
        return answer_constant(v, is_range, constant);
    }
    v->draws = v->own = true;
    return evaluate(v, &rc) ? answer_plots(v, is_range) : rc;
}

static enum MHD_Result answer_instant(struct evaluation *v, struct buf *problem) {
    return answer_query(v, false, problem);
}

static enum MHD_Result answer_range(struct evaluation *v, struct buf *problem) {
    return answer_query(v, true, problem);
}

// The selectors of match[], and the range. 0, or -1 with a problem.
static int take_matches(struct evaluation *v, bool wanted, struct buf *problem) {
    size_t at = 0;
    const char *text;
    v->end = (double)INFINITY;
    while ((text = query_next(v->query, "match[]", &at))) {
        if (take_selector(v, text, problem)) {
            return -1;
        }
    }
    if (!v->n_selectors && wanted) {
        buf_puts(problem, "expected at least one match[]");
        return -1;
    }
    if (!v->n_selectors && take_selector(v, "{" SELECTOR_NAME "=~\".+\"}", problem)) {
        return -1;
    }
    return take_seconds(v, "start", false, &v->start, problem) &&
                   take_seconds(v, "end", false, &v->end, problem)
               ? 0
               : -1;
}

static enum MHD_Result answer_series(struct evaluation *v, struct buf *problem) {
    enum MHD_Result rc;
    if (take_matches(v, true, problem)) {
        return fail_data(v->q, buf_str(problem));
    }
    v->own = true;
    if (!evaluate(v, &rc)) {
        return rc;
    }
    struct buf json;
    struct emit e = begin_answer(&json);
    emit_array(&e, "data");
    for (size_t i = 0; i < v->plots.n; i++) {
        emit_labels(&e, NULL, &v->plots.at[i]);
    }
    emit_end(&e);
    emit_end(&e);
    return answer_prom(v->q, MHD_HTTP_OK, &json);
}

// What there is of a label, or the labels that there are.
struct seen {
    const char *label; // NULL: the labels themselves
    struct texts texts;
};

static void see(void *context, const struct plot *p) {
    struct seen *seen = context;
    char name[80];
    struct label labels[PLOT_LABELS + 1];
    size_t n = plot_labels(p, name, labels);
    for (size_t i = 0; i < n; i++) {
        if (!seen->label) {
            texts_add(&seen->texts, labels[i].name);
        } else if (strcmp(seen->label, labels[i].name) == 0) {
            texts_add(&seen->texts, labels[i].value);
        }
    }
}

static enum MHD_Result answer_seen(struct evaluation *v, const char *label, struct buf *problem) {
    struct seen seen = {.label = label};
    enum MHD_Result rc;
    if (take_matches(v, false, problem)) {
        return fail_data(v->q, buf_str(problem));
    }
    // Names of the job's own are worth a look into the steps only where they are asked for.
    v->own = !label || strcmp(label, "scalar") == 0 || strcmp(label, "statistic") == 0 ||
             strcmp(label, SELECTOR_NAME) == 0;
    v->plots.see = see;
    v->plots.context = &seen;
    if (evaluate(v, &rc)) {
        struct buf json;
        struct emit e = begin_answer(&json);
        texts_sort(&seen.texts);
        emit_array(&e, "data");
        for (size_t i = 0; i < seen.texts.n; i++) {
            emit_text(&e, NULL, seen.texts.at[i]);
        }
        emit_end(&e);
        emit_end(&e);
        rc = answer_prom(v->q, MHD_HTTP_OK, &json);
    }
    texts_free(&seen.texts);
    return rc;
}

static enum MHD_Result answer_labels(struct evaluation *v, struct buf *problem) {
    return answer_seen(v, NULL, problem);
}

static enum MHD_Result answer_values(struct evaluation *v, struct buf *problem) {
    return answer_seen(v, v->q->part[0], problem);
}

typedef enum MHD_Result answer_fn(struct evaluation *v, struct buf *problem);

static enum MHD_Result answer(struct request *q, const struct parameter *parameters,
                              answer_fn *make) {
    struct evaluation *v = NEW(struct evaluation);
    struct buf problem;
    buf_init(&problem, 4000);
    v->q = q;
    v->query = &q->query;
    enum MHD_Result rc;
    bool is_form = strcmp(q->method, MHD_HTTP_METHOD_POST) == 0 && q->upload.len;
    if (is_form && query_read(&v->form, buf_str(&q->upload), parameters, &problem)) {
        rc = fail_data(q, buf_str(&problem));
    } else {
        v->query = is_form ? &v->form : v->query;
        rc = make(v, &problem);
    }
    query_free(&v->form);
    plots_free(&v->plots);
    for (size_t i = 0; i < v->n_selectors; i++) {
        selector_free(&v->selectors[i]);
    }
    buf_free(&problem);
    free(v);
    return rc;
}

enum MHD_Result prom_query(struct request *q) {
    return answer(q, prom_query_parameters, answer_instant);
}

enum MHD_Result prom_range(struct request *q) {
    return answer(q, prom_range_parameters, answer_range);
}

enum MHD_Result prom_series(struct request *q) {
    return answer(q, prom_match_parameters, answer_series);
}

enum MHD_Result prom_labels(struct request *q) {
    return answer(q, prom_match_parameters, answer_labels);
}

enum MHD_Result prom_values(struct request *q) {
    return answer(q, prom_match_parameters, answer_values);
}
