// Fields, statistics and scalars are read by range, from tiers and blocks; so are instruments of
// long stretches (api/kept.h), others are followed along a walk over the steps.
#include "api/draw.h"

#include "api/kept.h"
#include "api/outputs.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/memory.h"
#include "runs/history.h"
#include "storage/range.h"

#include <stdlib.h>
#include <string.h>

// Looks at the clock every so many steps.
static bool has_time(void *context) {
    struct drawing *d = context;
    d->late = d->late || ((++d->visited & 63) == 0 &&
                          !(api_progress(d->q->api) && clock_monotonic_ns() < d->deadline_ns));
    return !d->late;
}

static enum outcome walk_history(struct drawing *d, struct history *h) {
    const struct step *step;
    const struct thermo *thermo;
    enum outcome outcome = DRAWN;
    int rc = 0;
    history_while(h, has_time, d);
    while (outcome == DRAWN && (rc = history_next(h, &step, &thermo)) == 1) {
        if (!select_add_step(&d->selection, step, thermo, history_hello(h))) {
            outcome = OUT_OF_MEMORY;
        }
        bounds_add(&d->bounds, &d->selection, step->step, thermo);
    }
    return rc < 0 ? STORE_FAILED : d->late ? OUT_OF_TIME : outcome;
}

// -- by range ------------------------------------------------------------------------------------

struct queued {
    struct bucket *at;
    size_t n, cap, next;
};

// One attempt of the drawing at work.
struct reach {
    struct drawing *d;
    struct range range;
    size_t *series;        // of the selection, for each of the range
    struct queued *queued; // messages' values, for each series of the selection
    bool queueing;         // the points are of messages: to be kept for later
    enum outcome outcome;
};

static bool enqueue(struct queued *q, const struct bucket *one) {
    if (q->n == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : 64;
        struct bucket *grown = try_grow(q->at, cap * sizeof *grown);
        if (!grown) {
            return false;
        }
        q->at = grown;
        q->cap = cap;
    }
    q->at[q->n++] = *one;
    return true;
}

// Messages that came before the step go first.
static bool dequeue(struct buckets *b, struct queued *q, int64_t before) {
    while (q->next < q->n && q->at[q->next].step < before) {
        if (!buckets_join(b, &q->at[q->next++])) {
            return false;
        }
    }
    return true;
}

static bool take_point(void *context, size_t series, const struct range_point *p) {
    struct reach *r = context;
    size_t index = r->series[series];
    struct bucket one = bucket_of(p->last, &p->cell);
    struct buckets *b = &r->d->selection.series[index].buckets;
    bool good = r->queueing ? enqueue(&r->queued[index], &one)
                            : dequeue(b, &r->queued[index], one.step) && buckets_join(b, &one);
    r->outcome = !good ? OUT_OF_MEMORY : !has_time(r->d) ? OUT_OF_TIME : DRAWN;
    return r->outcome == DRAWN;
}

// The column of a series in segments of that kind. False when they do not have it.
static bool choose_column(const struct select_metric *m, bool layered, enum segment_kind kind,
                          struct column_key *key) {
    if (kind == SEGMENT_READINGS) {
        *key = kept_column(m, layered);
        return m->kind == SELECT_INSTRUMENT;
    }
    return select_column(m, key) && (kind == SEGMENT_STEPS || key->kind == COLUMN_SCALAR);
}

// The series that the attempt may have, as the range wants them.
static void choose_series(struct reach *r, const struct hello *hello, enum segment_kind kind) {
    struct selection *s = &r->d->selection;
    select_index_layers(s, hello);
    r->range.kind = kind;
    r->range.n_series = 0;
    for (size_t i = 0; i < s->n_series; i++) {
        const struct select_series *one = &s->series[i];
        const struct select_metric *m = &s->metrics[one->metric];
        size_t row = one->layer == SIZE_MAX ? 0 : s->layers[one->layer].index;
        struct column_key key;
        if (row == SIZE_MAX || !choose_column(m, one->layer != SIZE_MAX, kind, &key)) {
            continue;
        }
        r->series[r->range.n_series] = i;
        r->range.series[r->range.n_series++] = (struct range_series){.key = key, .row = row};
    }
}

static void note(struct reach *r) {
    struct drawing *d = r->d;
    struct step_damage *all = &d->damage;
    const struct step_damage *more = &r->range.damage;
    d->visited += r->range.entries;
    if (more->segments) {
        all->first = all->segments && all->first < more->first ? all->first : more->first;
        all->last = all->segments && all->last > more->last ? all->last : more->last;
        all->segments += more->segments;
    }
    for (size_t i = 0; i < r->range.n_series; i++) {
        struct select_series *one = &d->selection.series[r->series[i]];
        struct select_metric *m = &d->selection.metrics[one->metric];
        m->seen = m->seen || r->range.series[i].seen;
    }
}

static enum outcome read_range(struct reach *r) {
    if (r->range.n_series && range_read(r->d->q->reader, &r->range)) {
        return STORE_FAILED;
    }
    note(r);
    return r->outcome;
}

// A point may stand for so many steps when `entries` of the run are drawn to `points`.
static int64_t width_of(const struct drawing *d, int64_t entries, size_t points) {
    const struct run_progress *p = &d->run.progress;
    double first = d->from > p->first_step ? (double)d->from : (double)p->first_step;
    double last = d->to < p->last_step ? (double)d->to : (double)p->last_step;
    double span = (double)p->last_step - (double)p->first_step + 1;
    double share = last < first || span < 1 ? 0 : (last - first + 1) / span;
    return (int64_t)(2 * share * (double)entries / (double)points);
}

static int by_step(const void *a, const void *b) {
    const struct bucket *x = a, *y = b;
    return x->step < y->step ? -1 : x->step > y->step;
}

// Messages are few beside the steps, but late ones stand out of order: they are sorted first.
static enum outcome read_messages(struct reach *r, const struct hello *hello) {
    int64_t entries;
    if (range_entries(r->d->q->reader, r->range.attempt, SEGMENT_MESSAGES, &entries)) {
        return STORE_FAILED;
    }
    choose_series(r, hello, SEGMENT_MESSAGES);
    r->range.width = width_of(r->d, entries, r->d->points);
    r->queueing = true;
    enum outcome outcome = read_range(r);
    r->queueing = false;
    for (size_t i = 0; outcome == DRAWN && i < r->d->selection.n_series; i++) {
        struct queued *q = &r->queued[i];
        bool sorted = true;
        for (size_t k = 1; sorted && k < q->n; k++) {
            sorted = q->at[k - 1].step <= q->at[k].step;
        }
        if (!sorted) { // stable enough: values of one step come from one place
            qsort(q->at, q->n, sizeof *q->at, by_step);
        }
    }
    return outcome;
}

static enum outcome read_readings(struct reach *r, const struct hello *hello) {
    struct drawing *d = r->d;
    int64_t entries = d->run.progress.n_steps / READINGS_EVERY;
    choose_series(r, hello, SEGMENT_READINGS);
    r->range.width = width_of(d, entries, d->points);
    enum outcome outcome = read_range(r);
    if (outcome == DRAWN && d->bounds.most) {
        int rc = bounds_read(&d->bounds, &d->selection, d->q->reader, &r->range,
                             width_of(d, entries, d->bounds.most), has_time, d);
        outcome = rc ? STORE_FAILED : d->late ? OUT_OF_TIME : DRAWN;
    }
    return outcome;
}

static enum outcome read_attempt(struct reach *r, const char *facts) {
    struct drawing *d = r->d;
    struct hello hello;
    struct wire_error error;
    if (hello_parse(&hello, facts, strlen(facts), &error)) {
        return STORE_FAILED;
    }
    enum outcome outcome = d->selection.has_scalars ? read_messages(r, &hello) : DRAWN;
    if (outcome == DRAWN) {
        choose_series(r, &hello, SEGMENT_STEPS);
        r->range.width = width_of(d, d->run.progress.n_steps, d->points);
        outcome = read_range(r);
    }
    if (outcome == DRAWN && d->from_readings) {
        outcome = read_readings(r, &hello);
    }
    for (size_t i = 0; outcome == DRAWN && i < d->selection.n_series; i++) {
        struct buckets *b = &d->selection.series[i].buckets;
        outcome = dequeue(b, &r->queued[i], INT64_MAX) ? DRAWN : OUT_OF_MEMORY;
        r->queued[i].n = r->queued[i].next = 0;
    }
    d->selection.indexed = NULL; // the hello goes
    hello_free(&hello);
    return outcome;
}

static enum outcome draw_ranges(struct drawing *d) {
    size_t n = d->selection.n_series;
    struct reach r = {.d = d};
    r.series = must_alloc((n + 1) * sizeof *r.series);
    r.queued = must_alloc((n + 1) * sizeof *r.queued);
    r.range.series = must_alloc((n + 1) * sizeof *r.range.series);
    r.range.point = take_point;
    r.range.context = &r;
    enum outcome outcome = DRAWN;
    for (size_t i = 0; outcome == DRAWN && i < d->n_attempts; i++) {
        int64_t last = history_last_in_force(d->attempts, d->n_attempts, i);
        last = last < d->to ? last : d->to;
        r.range.attempt = d->attempts[i].id;
        r.range.from = d->from;
        r.range.to = last;
        if (last >= d->from) {
            outcome = read_attempt(&r, d->attempts[i].facts);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(r.queued[i].at);
    }
    free(r.series);
    free(r.queued);
    free(r.range.series);
    return outcome;
}

static enum outcome draw_outputs(struct drawing *d) {
    int rc = outputs_draw(&d->selection, d->q->reader, d->run.id, d->from, d->to);
    return rc < 0 ? STORE_FAILED : rc > 0 ? OUT_OF_MEMORY : DRAWN;
}

// By a walk, unless it would be long and the readings were kept.
static enum outcome draw_instruments(struct drawing *d) {
    struct history *h = NULL;
    int kept = kept_are_wanted(d), spared = 0;
    bool may_walk = kept == 0 || (kept > 0 && kept_may_be_spared(d));
    if (kept < 0 || (may_walk && history_open(&h, d->q->reader, &d->run, d->from, d->to, true))) {
        return STORE_FAILED;
    }
    if (kept && h) {
        spared = kept_are_spared(d, h);
    }
    d->from_readings = kept && !spared;
    enum outcome outcome = spared < 0         ? STORE_FAILED
                           : d->from_readings ? DRAWN
                                              : walk_history(d, h);
    history_close(h);
    return outcome;
}

enum outcome draw(struct drawing *d) {
    const struct run_progress *p = &d->run.progress;
    bounds_init(&d->bounds, &d->selection, d->intervals,
                d->from > p->first_step ? d->from : p->first_step,
                d->to < p->last_step ? d->to : p->last_step);
    if (!d->run.id) {
        return DRAWN;
    }
    enum outcome outcome = d->selection.has_instruments ? draw_instruments(d) : DRAWN;
    if (outcome == DRAWN && (d->selection.has_columns || d->from_readings)) {
        outcome = draw_ranges(d);
    }
    if (outcome == DRAWN && d->from_readings) {
        outcome = kept_add_live(d) ? DRAWN : OUT_OF_MEMORY;
    }
    if (outcome == DRAWN && d->selection.has_outputs) {
        outcome = draw_outputs(d);
    }
    return outcome;
}
