// GET /api/v1/runs/{run}/series.
#include "api/draw.h"
#include "api/emit.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/lttb.h"
#include "base/clock.h"
#include "config/limits.h"

#include <inttypes.h>
#include <string.h>

#define SERIES_BYTES_MAX ((size_t)1 << 28)
#define POINTS_DEFAULT 1000
// Buckets that are gathered for each point that LTTB keeps.
#define LTTB_BUCKETS 4

enum agg { AGG_MINMAX, AGG_MEAN, AGG_LAST, AGG_LTTB };
static const char *const aggs[] = {"minmax", "mean", "last", "lttb", NULL};

const struct parameter series_parameters[] = {
    {"metric", PARAMETER_LIST, 0, 0, NULL, "what to draw; several by commas or by repeating it"},
    {"layer", PARAMETER_TEXTS, 0, 0, NULL, "a glob of layers' names; may be repeated"},
    {"from", PARAMETER_INTEGER, 0, STEP_MAX, NULL, "first step"},
    {"to", PARAMETER_INTEGER, 0, STEP_MAX, NULL, "last step"},
    {"points", PARAMETER_INTEGER, 1, LIMIT_SERIES_POINTS, NULL,
     "the most points a series may have, 1000 when not given"},
    {"intervals", PARAMETER_INTEGER, 0, BOUNDS_MOST, NULL,
     "how many 95% intervals to give beside an instrument's values, none when not given"},
    {"agg", PARAMETER_CHOICE, 0, 0, aggs,
     "what a point shows of the steps it stands for: the last value with min and max (minmax, when "
     "not "
     "given), their mean, the last value alone, or points chosen by their shape (lttb)"},
    {0},
};

static void emit_extremes(struct emit *e, const struct buckets *b) {
    emit_array(e, "min");
    for (size_t i = 0; i < b->n; i++) {
        emit_number(e, NULL, b->at[i].min);
    }
    emit_end(e);
    emit_array(e, "max");
    for (size_t i = 0; i < b->n; i++) {
        emit_number(e, NULL, b->at[i].max);
    }
    emit_end(e);
}

static void emit_nonfinite(struct emit *e, const struct buckets *b) {
    uint64_t any = 0;
    for (size_t i = 0; i < b->n; i++) {
        any += b->at[i].nonfinite;
    }
    if (any) {
        emit_array(e, "nonfinite");
        for (size_t i = 0; i < b->n; i++) {
            emit_integer(e, NULL, (int64_t)b->at[i].nonfinite);
        }
        emit_end(e);
    }
}

static void emit_series(struct emit *e, const struct drawing *d, size_t series, enum agg agg) {
    const struct selection *s = &d->selection;
    const struct select_series *one = &s->series[series];
    const struct buckets *b = &one->buckets;
    emit_object(e, NULL);
    emit_text(e, "metric", s->metrics[one->metric].name);
    emit_text(e, "layer", one->layer == SIZE_MAX ? NULL : s->layers[one->layer].name);
    if (d->from_readings && s->metrics[one->metric].kind == SELECT_INSTRUMENT) {
        emit_integer(e, "every", READINGS_EVERY);
    }
    emit_array(e, "step");
    for (size_t i = 0; i < b->n; i++) {
        emit_integer(e, NULL, b->at[i].step);
    }
    emit_end(e);
    emit_array(e, "value");
    for (size_t i = 0; i < b->n; i++) {
        bool is_mean = agg == AGG_MEAN && b->at[i].count > 1;
        emit_number(e, NULL, is_mean ? b->at[i].mean : b->at[i].value);
    }
    emit_end(e);
    if (agg == AGG_MINMAX && buckets_are_merged(b)) {
        emit_extremes(e, b);
    }
    emit_nonfinite(e, b);
    bounds_emit(&d->bounds, s, series, e);
    emit_end(e);
}

static void print_drawing(const struct drawing *d, struct buf *json) {
    const struct query *query = &d->q->query;
    enum agg agg = (enum agg)query_number(query, "agg", AGG_MINMAX);
    struct emit e = emit_to(json);
    emit_object(&e, NULL);
    emit_text(&e, "run", d->q->part[0]);
    emit_step(&e, "from", query_number(query, "from", d->run.id ? d->run.progress.first_step : -1));
    emit_step(&e, "to", query_number(query, "to", d->run.id ? d->run.progress.last_step : -1));
    emit_array(&e, "series");
    for (size_t i = 0; i < d->selection.n_series; i++) {
        if (agg == AGG_LTTB) {
            lttb_reduce(&d->selection.series[i].buckets, d->points / LTTB_BUCKETS);
        }
        emit_series(&e, d, i, agg);
    }
    emit_end(&e);
    if (d->damage.segments) {
        emit_array(&e, "damaged");
        emit_integer(&e, NULL, d->damage.first);
        emit_integer(&e, NULL, d->damage.last);
        emit_end(&e);
    }
    emit_end(&e);
}

// Steps never change once they are stored: who has seen as many of this attempt has seen all, but
// that exact values go by retention. Messages of scalars and histograms of outputs leave no such
// trace; of a live run instruments' newest reading is what was published, which follows behind.
static void print_etag(const struct drawing *d, char etag[24]) {
    struct buf text;
    buf_init(&text, 1 << 17);
    int64_t attempt = d->n_attempts ? d->attempts[d->n_attempts - 1].id : 0;
    int64_t published = d->live && d->selection.has_instruments ? d->live->step : -1;
    buf_printf(&text, "%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRId64 "?%s",
               d->run.id, attempt, d->run.progress.n_steps, d->run.progress.last_step, d->kept,
               published, d->q->query_text);
    etag_print(etag, buf_str(&text), text.len);
    buf_free(&text);
}

static enum MHD_Result answer_drawing(struct request *q, struct drawing *d, const char *etag) {
    struct buf json;
    buf_init(&json, SERIES_BYTES_MAX);
    switch (draw(d)) {
    case DRAWN:
        break;
    case OUT_OF_TIME:
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE,
                              "this took more than %d s; narrow the range with from and to",
                              LIMIT_HTTP_REQUEST_S);
    case OUT_OF_MEMORY:
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for so many points");
    case STORE_FAILED:
        return answer_store_problem(q);
    }
    const char *unknown = d->visited ? select_unknown(&d->selection) : NULL;
    if (unknown) {
        select_print_metrics(&json);
        enum MHD_Result rc = answer_problem(q, MHD_HTTP_BAD_REQUEST,
                                            "the run has no metric \"%.160s\" here; there are %s",
                                            unknown, buf_str(&json));
        buf_free(&json);
        return rc;
    }
    print_drawing(d, &json);
    return etag ? answer_json_as(q, &json, etag) : answer_json(q, &json);
}

static enum MHD_Result answer_selection(struct request *q, struct drawing *d,
                                        const struct hello *hello) {
    struct buf problem;
    buf_init(&problem, 4000);
    unsigned status = select_open(&d->selection, &q->query, hello, d->points, &problem);
    enum MHD_Result rc;
    char etag[24];
    print_etag(d, etag);
    bool traceless = d->selection.has_scalars || d->selection.has_outputs;
    const char *known_etag = traceless ? NULL : etag;
    if (status) {
        rc = answer_problem(q, status, "%s", buf_str(&problem));
    } else if (d->intervals * d->selection.n_series > BOUNDS_TOTAL) {
        rc = answer_problem(q, MHD_HTTP_BAD_REQUEST,
                            "this asks for %zu intervals of %zu series; expected at most %d in all",
                            d->intervals, d->selection.n_series, BOUNDS_TOTAL);
    } else if (known_etag && request_has(q, known_etag)) {
        rc = answer_not_modified(q, known_etag);
    } else {
        rc = answer_drawing(q, d, known_etag);
    }
    buf_free(&problem);
    bounds_free(&d->bounds);
    select_free(&d->selection);
    return rc;
}

// What the store has of the run at the moment of the walk. False for an error of the store.
static bool find_stored(struct drawing *d, const char *name) {
    struct reader *reader = d->q->reader;
    int found = reader_find_run(reader, name, &d->run);
    if (found <= 0) {
        d->run = (struct run_record){0};
        return found == 0;
    }
    return reader_kept(reader, d->run.id, &d->kept) == 0 &&
           reader_attempts(reader, d->run.id, &d->attempts, &d->n_attempts) == 0;
}

static enum MHD_Result answer_series(struct request *q, struct drawing *d,
                                     const struct found *run) {
    const char *facts = run->record->facts;
    struct hello hello;
    struct wire_error error;
    if (hello_parse(&hello, facts, strlen(facts), &error)) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the run's hello cannot be read: %s",
                              error.message);
    }
    enum MHD_Result rc;
    d->n_layers = hello.n_layers;
    d->live = run->live;
    if (reader_begin(q->reader)) {
        rc = answer_store_problem(q);
    } else {
        rc = find_stored(d, run->record->name) ? answer_selection(q, d, &hello)
                                               : answer_store_problem(q);
        reader_end(q->reader);
    }
    run_record_free(&d->run);
    for (size_t i = 0; i < d->n_attempts; i++) {
        attempt_record_free(&d->attempts[i]);
    }
    free(d->attempts);
    hello_free(&hello);
    return rc;
}

enum MHD_Result series_get(struct request *q) {
    struct drawing d = {.q = q,
                        .from = query_number(&q->query, "from", 0),
                        .to = query_number(&q->query, "to", STEP_MAX),
                        .points = (size_t)query_number(&q->query, "points", POINTS_DEFAULT),
                        .intervals = (size_t)query_number(&q->query, "intervals", 0),
                        .deadline_ns = request_deadline_ns()};
    uint64_t max_points = q->api->config.max_points;
    struct found run;
    enum MHD_Result rc;
    if (d.from > d.to) {
        return answer_problem(q, MHD_HTTP_BAD_REQUEST,
                              "from is %" PRId64 " and to is %" PRId64 "; expected from <= to",
                              d.from, d.to);
    }
    if (d.points > max_points && query_text(&q->query, "points")) {
        return answer_problem(q, MHD_HTTP_BAD_REQUEST,
                              "points is %zu; expected at most %" PRIu64
                              ", as this daemon is configured",
                              d.points, max_points);
    }
    d.points = d.points < max_points ? d.points : (size_t)max_points;
    if (query_number(&q->query, "agg", AGG_MINMAX) == AGG_LTTB) {
        d.points *= LTTB_BUCKETS;
    }
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    rc = answer_series(q, &d, &run);
    found_release(&run);
    return rc;
}
