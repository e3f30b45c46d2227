#include "api/bounds.h"

#include "api/kept.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/num.h"
#include "probes/metric.h"

#include <stdlib.h>
#include <string.h>

void bounds_init(struct bounds *b, const struct selection *s, size_t most, int64_t first,
                 int64_t last) {
    *b = (struct bounds){0};
    if (most == 0 || !s->has_instruments || last < first) {
        return;
    }
    b->most = most;
    b->stride = (last - first) / (int64_t)most + 1;
    b->due = first;
    b->last = last;
    b->n_series = s->n_series;
    b->series = must_alloc((s->n_series + 1) * sizeof *b->series);
    for (size_t i = 0; i < s->n_series; i++) {
        b->series[i].at = must_alloc((most + 1) * sizeof *b->series[i].at);
    }
}

void bounds_free(struct bounds *b) {
    for (size_t i = 0; i < b->n_series; i++) {
        free(b->series[i].at);
    }
    free(b->series);
    *b = (struct bounds){0};
}

static bool is_instrument(const struct selection *s, size_t series) {
    return s->metrics[s->series[series].metric].kind == SELECT_INSTRUMENT;
}

void bounds_take(struct bounds *b, size_t series, const struct bound *one) {
    struct bounds_series *s = &b->series[series];
    s->n -= s->is_early;
    s->is_early = one->step < s->due;
    if (!s->is_early) {
        s->due = one->step + b->stride;
    }
    CHECK(s->n <= b->most);
    s->at[s->n++] = *one;
}

void bounds_add(struct bounds *b, const struct selection *s, int64_t step,
                const struct thermo *thermo) {
    if (!b->most || (step < b->due && step != b->last)) {
        return;
    }
    for (size_t i = 0; i < s->n_series; i++) {
        const struct select_series *one = &s->series[i];
        size_t layer = one->layer == SIZE_MAX ? THERMO_GLOBAL : s->layers[one->layer].index;
        struct bound found = {step, num_missing(), num_missing()};
        double low, high;
        // An earlier attempt may not have had such a layer.
        if (is_instrument(s, i) && (one->layer == SIZE_MAX || layer != SIZE_MAX) &&
            thermo_interval(thermo, layer, (enum metric)s->metrics[one->metric].id, &low, &high)) {
            found.low = low;
            found.high = high;
        }
        bounds_take(b, i, &found);
    }
    b->due = step + b->stride;
}

// -- those that were kept ------------------------------------------------------------------------

enum end { LOW, HIGH, ENDS };

struct gathering {
    struct bounds *b;
    size_t *series; // for each pair of the range's
    bounds_go_on_fn *go_on;
    void *context;
};

// The low ends of a stretch come first, then the high ones.
static bool take_end(void *context, size_t index, const struct range_point *p) {
    struct gathering *g = context;
    size_t series = g->series[index / ENDS];
    struct bounds_series *s = &g->b->series[series];
    double end = p->cell.value[AGGREGATE_LAST];
    if (index % ENDS == LOW) {
        struct bound one = {p->last, end, num_missing()};
        bounds_take(g->b, series, &one);
        return g->go_on(g->context);
    }
    while (s->paired < s->n && s->at[s->paired].step < p->last) {
        s->paired++;
    }
    if (s->paired < s->n && s->at[s->paired].step == p->last) {
        s->at[s->paired].high = end;
    }
    return true;
}

// The names of both ends, of every metric.
typedef char end_names[ENDS][LIMIT_STAT_NAME + 1];

static void name_ends(const struct selection *s, end_names *names) {
    static const char *const suffix[ENDS] = {READING_LOW, READING_HIGH};
    for (size_t m = 0; m < s->n_metrics; m++) {
        for (unsigned end = 0; s->metrics[m].kind == SELECT_INSTRUMENT && end < ENDS; end++) {
            snprintf(names[m][end], sizeof names[m][end], "%s%s",
                     metric_name((enum metric)s->metrics[m].id), suffix[end]);
        }
    }
}

static void choose_ends(const struct selection *s, end_names *names, struct gathering *g,
                        struct range *range) {
    for (size_t i = 0; i < s->n_series; i++) {
        const struct select_series *one = &s->series[i];
        size_t row = one->layer == SIZE_MAX ? 0 : s->layers[one->layer].index;
        if (!is_instrument(s, i) || row == SIZE_MAX) {
            continue;
        }
        g->series[range->n_series / ENDS] = i;
        for (unsigned end = 0; end < ENDS; end++) {
            struct column_key key = kept_column(&s->metrics[one->metric], one->layer != SIZE_MAX);
            key.name = names[one->metric][end];
            key.name_len = strlen(key.name);
            range->series[range->n_series++] = (struct range_series){.key = key, .row = row};
        }
    }
}

int bounds_read(struct bounds *b, const struct selection *s, struct reader *r,
                const struct range *readings, int64_t width, bounds_go_on_fn *go_on,
                void *context) {
    struct gathering g = {.b = b, .go_on = go_on, .context = context};
    struct range range = {.attempt = readings->attempt,
                          .kind = SEGMENT_READINGS,
                          .from = readings->from,
                          .to = readings->to,
                          .width = width,
                          .point = take_end,
                          .context = &g};
    end_names *names = must_alloc((s->n_metrics + 1) * sizeof *names);
    g.series = must_alloc((s->n_series + 1) * sizeof *g.series);
    range.series = must_alloc((ENDS * s->n_series + 1) * sizeof *range.series);
    name_ends(s, names);
    choose_ends(s, names, &g, &range);
    int rc = range_read(r, &range);
    free(range.series);
    free(g.series);
    free(names);
    return rc;
}

// -- the answer ----------------------------------------------------------------------------------

static void emit_side(struct emit *e, const char *key, const struct bounds_series *s, enum end end,
                      void emit_end_of(struct emit *e, const char *key, double x)) {
    emit_array(e, key);
    for (size_t i = 0; i < s->n; i++) {
        emit_end_of(e, NULL, end == LOW ? s->at[i].low : s->at[i].high);
    }
    emit_end(e);
}

void bounds_emit(const struct bounds *b, const struct selection *s, size_t series, struct emit *e) {
    if (b->most == 0 || !is_instrument(s, series)) {
        return;
    }
    const struct bounds_series *one = &b->series[series];
    emit_object(e, "interval");
    emit_array(e, "step");
    for (size_t i = 0; i < one->n; i++) {
        emit_integer(e, NULL, one->at[i].step);
    }
    emit_end(e);
    emit_side(e, "low", one, LOW, emit_low);
    emit_side(e, "high", one, HIGH, emit_high);
    emit_end(e);
}
