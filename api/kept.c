#include "api/kept.h"

#include "base/num.h"
#include "probes/metric.h"
#include "storage/range.h"

#include <math.h>
#include <string.h>

// Layers times steps that are worked out again in about a fifth of a second.
#define WORK_MAX (INT64_C(1) << 19)

// What the readings and the steps of a run have.
struct stock {
    bool kept; // each attempt's readings begin with its steps
    bool raw;  // the exact values of each attempt's steps are all there
};

static int look_at_attempt(struct drawing *d, int64_t attempt, struct stock *s) {
    struct reader *r = d->q->reader;
    int64_t steps, exact, readings;
    int found = range_first(r, attempt, SEGMENT_STEPS, false, &steps);
    if (found <= 0) {
        return found; // nothing was sent
    }
    if (range_first(r, attempt, SEGMENT_STEPS, true, &exact) < 0 ||
        range_first(r, attempt, SEGMENT_READINGS, false, &readings) < 0) {
        return -1;
    }
    s->raw = s->raw && exact == steps;
    s->kept = s->kept && readings == steps;
    return 0;
}

static int64_t last_in_force(const struct drawing *d, size_t i) {
    return history_last_in_force(d->attempts, d->n_attempts, i);
}

static int64_t most_steps(const struct drawing *d) {
    return WORK_MAX / (int64_t)(d->n_layers + 1);
}

int kept_are_wanted(struct drawing *d) {
    struct stock s = {.kept = true, .raw = true};
    if (!d->selection.has_instruments) {
        return 0;
    }
    for (size_t i = 0; i < d->n_attempts; i++) {
        if (last_in_force(d, i) >= 0 && look_at_attempt(d, d->attempts[i].id, &s)) {
            return -1;
        }
    }
    int64_t steps = d->run.progress.n_steps;
    return s.kept && steps > READINGS_EVERY && (!s.raw || steps > most_steps(d));
}

// About how many of the run's steps are in range.
static double steps_in_range(const struct drawing *d) {
    const struct run_progress *p = &d->run.progress;
    double first = d->from > p->first_step ? (double)d->from : (double)p->first_step;
    double last = d->to < p->last_step ? (double)d->to : (double)p->last_step;
    double span = (double)p->last_step - (double)p->first_step + 1;
    return last < first ? 0 : (last - first + 1) / span * (double)p->n_steps;
}

bool kept_may_be_spared(const struct drawing *d) {
    return steps_in_range(d) <= (double)most_steps(d);
}

int kept_are_spared(struct drawing *d, const struct history *h) {
    struct reader *r = d->q->reader;
    int64_t attempt, step, most = most_steps(d), work = 0;
    bool begun = false;
    history_began_behind(h, &attempt, &step);
    for (size_t i = 0; i < d->n_attempts && work <= most; i++) {
        int64_t id = d->attempts[i].id, first, exact, steps;
        if (id < attempt) {
            continue;
        }
        int64_t from = id == attempt ? step + 1 : 0;
        int64_t to = last_in_force(d, i) >= d->to ? d->to : STEP_MAX;
        int found = range_first(r, id, SEGMENT_STEPS, false, &first);
        if (found < 0 || range_first(r, id, SEGMENT_STEPS, true, &exact) < 0 ||
            range_count(r, id, from, to, most + 1, &steps)) {
            return -1;
        }
        if (found && exact > first && exact > from) {
            return 0; // some of what would be walked has gone
        }
        begun = begun || found;
        work += steps;
    }
    return begun && work <= most;
}

struct column_key kept_column(const struct select_metric *m, bool layered) {
    const char *name = metric_name((enum metric)m->id);
    return (struct column_key){.kind = layered ? COLUMN_STATISTIC : COLUMN_SCALAR,
                               .id = STAT_NONE,
                               .name = name,
                               .name_len = strlen(name)};
}

static size_t find_layer(const struct snapshot *s, const char *name) {
    for (size_t i = 0; i < s->n_layers; i++) {
        if (strcmp(s->layer_names[i], name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

// The snapshot's reading of a metric as a point; count 0 where it has none.
static struct bucket point_of(const struct snapshot *s, enum metric m, size_t body, double value) {
    struct tier_cell cell;
    double low, high;
    tier_cell_clear(&cell);
    tier_cell_add(&cell, value);
    snapshot_extremes(s, m, body, &low, &high);
    tier_cell_widen(&cell, low, high);
    return bucket_of(s->step, &cell);
}

static bool add_live(struct drawing *d, size_t series) {
    const struct snapshot *s = d->live;
    struct select_series *one = &d->selection.series[series];
    enum metric m = (enum metric)d->selection.metrics[one->metric].id;
    size_t body =
        one->layer == SIZE_MAX ? s->n_layers : find_layer(s, d->selection.layers[one->layer].name);
    if (body == SIZE_MAX) {
        return true;
    }
    struct reading r = body == s->n_layers ? s->global[m] : reading_table_get(&s->layers, body, m);
    if (d->bounds.most && r.has_interval) {
        bounds_take(&d->bounds, series, &(struct bound){s->step, r.low, r.high});
    }
    struct bucket point = point_of(s, m, body, r.value);
    return !point.count || buckets_join(&one->buckets, &point);
}

bool kept_add_live(struct drawing *d) {
    const struct snapshot *s = d->live;
    if (!s || s->record.id != d->run.id || s->step < d->from || s->step > d->to ||
        d->n_attempts == 0 || s->attempt != d->attempts[d->n_attempts - 1].id) {
        return true;
    }
    for (size_t i = 0; i < d->selection.n_series; i++) {
        const struct select_series *one = &d->selection.series[i];
        const struct buckets *b = &one->buckets;
        bool is_newer = !b->n || b->at[b->n - 1].step < s->step;
        if (d->selection.metrics[one->metric].kind == SELECT_INSTRUMENT && is_newer &&
            !add_live(d, i)) {
            return false;
        }
    }
    return true;
}
