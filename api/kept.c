#include "api/kept.h"

#include "base/num.h"
#include "probes/metric.h"
#include "storage/range.h"

#include <math.h>
#include <string.h>

// Layers times steps that are worked out again in about a fifth of a second.
#define WORK_MAX (INT64_C(1) << 19)

// 1 when an attempt's readings begin with its steps, 0 when not, -1. *raw: its exact steps are all
// there.
static int attempt_is_kept(struct drawing *d, int64_t attempt, bool *raw) {
    struct reader *r = d->q->reader;
    int64_t steps, exact, readings;
    int found = range_first(r, attempt, SEGMENT_STEPS, false, &steps);
    if (found <= 0) {
        return found < 0 ? -1 : 1; // nothing was sent
    }
    if (range_first(r, attempt, SEGMENT_STEPS, true, &exact) < 0 ||
        range_first(r, attempt, SEGMENT_READINGS, false, &readings) < 0) {
        return -1;
    }
    *raw = *raw && exact == steps;
    return readings == steps;
}

int kept_are_wanted(struct drawing *d) {
    bool raw = true;
    if (!d->selection.has_instruments || query_number(&d->q->query, "intervals", 0) > 0) {
        return 0;
    }
    for (size_t i = 0; i < d->n_attempts; i++) {
        int kept = draw_last_in_force(d, i) >= 0 ? attempt_is_kept(d, d->attempts[i].id, &raw) : 1;
        if (kept <= 0) {
            return kept;
        }
    }
    int64_t steps = d->run.progress.n_steps;
    int64_t most = WORK_MAX / (int64_t)(d->n_layers + 1);
    return steps > READINGS_EVERY && (!raw || steps > most);
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

// The snapshot's reading of a series as a point; count 0 where it has none.
static struct bucket point_of(const struct drawing *d, const struct select_series *one) {
    const struct snapshot *s = d->live;
    enum metric m = (enum metric)d->selection.metrics[one->metric].id;
    size_t body =
        one->layer == SIZE_MAX ? s->n_layers : find_layer(s, d->selection.layers[one->layer].name);
    if (body == SIZE_MAX) {
        return (struct bucket){0};
    }
    struct tier_cell cell;
    double low, high;
    tier_cell_clear(&cell);
    tier_cell_add(&cell, body == s->n_layers ? s->global[m].value : s->layers[body][m].value);
    snapshot_extremes(s, m, body, &low, &high);
    tier_cell_widen(&cell, low, high);
    return bucket_of(s->step, &cell);
}

bool kept_add_live(struct drawing *d) {
    const struct snapshot *s = d->live;
    if (!s || s->record.id != d->run.id || s->step < d->from || s->step > d->to ||
        d->n_attempts == 0 || s->attempt != d->attempts[d->n_attempts - 1].id) {
        return true;
    }
    for (size_t i = 0; i < d->selection.n_series; i++) {
        struct select_series *one = &d->selection.series[i];
        struct buckets *b = &one->buckets;
        if (d->selection.metrics[one->metric].kind != SELECT_INSTRUMENT ||
            (b->n && b->at[b->n - 1].step >= s->step)) {
            continue;
        }
        struct bucket point = point_of(d, one);
        if (point.count && !buckets_join(b, &point)) {
            return false;
        }
    }
    return true;
}
