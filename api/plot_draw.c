// A run's plots at points in time.
#include "api/find.h"
#include "api/plots.h"
#include "api/times.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

// A range is drawn to two values an evaluation, and to no fewer than this.
#define POINTS_MIN 1000

static double time_of(const struct plot_times *t, size_t i) {
    return t->start + (double)i * t->step;
}

static bool put_point(struct plot *p, size_t at, double value) {
    if (p->n_points == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct plot_point *grown = try_grow(p->points, cap * sizeof *grown);
        if (!grown) {
            return false;
        }
        p->points = grown;
        p->cap = cap;
    }
    p->points[p->n_points++] = (struct plot_point){at, value};
    return true;
}

// How long value i stands: where it was kept at some steps, or is the last of several, the next one
// may be about as far away as it is from the one before.
static double stands(const struct buckets *b, const double *when, size_t i, bool is_kept) {
    size_t later = i ? i : i + 1;
    bool sparse = later < b->n && (is_kept || b->at[later].count > 1);
    return PLOT_LOOKBACK_S + (sparse ? 2 * (when[later] - when[later - 1]) : 0);
}

// Each evaluation has the newest value until then. False when memory is gone.
static bool evaluate(struct plot *p, const struct buckets *b, const struct step_times *steps,
                     const struct plot_times *times, bool is_kept) {
    double *when = try_calloc(b->n + 1, sizeof *when);
    bool good = when != NULL;
    for (size_t i = 0; good && i < b->n; i++) {
        when[i] = times_at(steps, b->at[i].step);
    }
    size_t next = 0;
    for (size_t i = 0; good && i < times->n; i++) {
        double now = time_of(times, i);
        while (next < b->n && when[next] <= now) {
            next++;
        }
        if (next && now - when[next - 1] < stands(b, when, next - 1, is_kept)) {
            good = put_point(p, i, b->at[next - 1].value);
        }
    }
    free(when);
    return good;
}

// The steps whose values are newest at some time of the range, and no more than few others.
static void narrow(struct drawing *d, const struct step_times *steps,
                   const struct plot_times *times) {
    size_t first = times_after(steps, times->start - PLOT_LOOKBACK_S);
    size_t behind = times_after(steps, time_of(times, times->n - 1));
    d->from = first ? steps->at[first - 1].step : d->from;
    d->to = behind < steps->n ? steps->at[behind].step : d->to;
}

// Finds the steps in range and their times: first roughly, then those in range alone.
static enum outcome find_times(struct drawing *d, const struct plot_times *times,
                               struct step_times *steps) {
    for (int pass = 0; pass < 2; pass++) {
        times_free(steps);
        int rc = times_read(steps, d->q->reader, d->attempts, d->n_attempts, d->from, d->to);
        if (rc) {
            return rc == -1 ? STORE_FAILED : OUT_OF_MEMORY;
        }
        narrow(d, steps, times);
    }
    return DRAWN;
}

static enum outcome draw_plots(struct drawing *d, struct plot *plots, size_t n,
                               const struct plot_times *times) {
    struct step_times steps = {0};
    enum outcome outcome = find_times(d, times, &steps);
    d->points = 2 * times->n > POINTS_MIN ? 2 * times->n : POINTS_MIN;
    for (size_t i = 0; i < n; i++) {
        select_add(&d->selection, &plots[i].metric, plots[i].layer, d->points);
    }
    if (outcome == DRAWN && steps.n) {
        outcome = draw(d);
        for (size_t i = 0; outcome == DRAWN && i < n; i++) {
            bool is_kept = d->from_readings && plots[i].metric.kind == SELECT_INSTRUMENT;
            const struct buckets *b = &d->selection.series[i].buckets;
            outcome = evaluate(&plots[i], b, &steps, times, is_kept) ? DRAWN : OUT_OF_MEMORY;
        }
    }
    select_free(&d->selection);
    times_free(&steps);
    return outcome;
}

enum outcome plots_draw(struct plots *p, size_t from, struct request *q,
                        const struct run_record *run, const struct plot_times *times,
                        uint64_t deadline_ns) {
    struct hello hello;
    struct wire_error error;
    struct drawing d = {.q = q, .run = *run, .to = STEP_MAX, .deadline_ns = deadline_ns};
    if (hello_parse(&hello, run->facts, strlen(run->facts), &error)) {
        return STORE_FAILED;
    }
    d.n_layers = hello.n_layers;
    hello_free(&hello);
    if (reader_attempts(q->reader, run->id, &d.attempts, &d.n_attempts)) {
        return STORE_FAILED;
    }
    struct snapshot *live = find_live(q->api, run);
    d.live = live;
    enum outcome outcome = draw_plots(&d, p->at + from, p->n - from, times);
    if (live) {
        snapshot_unref(live);
    }
    for (size_t i = 0; i < d.n_attempts; i++) {
        attempt_record_free(&d.attempts[i]);
    }
    free(d.attempts);
    return outcome;
}
