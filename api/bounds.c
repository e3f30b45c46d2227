#include "api/bounds.h"

#include "base/check.h"
#include "base/num.h"

#include <stdlib.h>

void bounds_init(struct bounds *b, const struct selection *s, size_t most, int64_t first,
                 int64_t last) {
    *b = (struct bounds){0};
    if (most == 0 || !s->has_instruments || last < first) {
        return;
    }
    b->most = most + 1; // the last step comes on top
    b->stride = (last - first) / (int64_t)most + 1;
    b->due = first;
    b->last = last;
    b->steps = must_alloc(b->most * sizeof *b->steps);
    b->low = must_alloc((s->n_series + 1) * b->most * sizeof *b->low);
    b->high = must_alloc((s->n_series + 1) * b->most * sizeof *b->high);
}

void bounds_free(struct bounds *b) {
    free(b->steps);
    free(b->low);
    free(b->high);
    *b = (struct bounds){0};
}

static bool is_instrument(const struct selection *s, size_t series) {
    return s->metrics[s->series[series].metric].kind == SELECT_INSTRUMENT;
}

static void read_series(struct bounds *b, const struct selection *s, size_t series,
                        const struct thermo *thermo) {
    const struct select_series *one = &s->series[series];
    size_t layer = one->layer == SIZE_MAX ? THERMO_GLOBAL : s->layers[one->layer].index;
    size_t at = series * b->most + b->n;
    b->low[at] = b->high[at] = num_missing();
    if (one->layer != SIZE_MAX && layer == SIZE_MAX) {
        return; // the attempt had no such layer
    }
    struct reading readings[METRIC_COUNT];
    thermo_read(thermo, layer, readings);
    const struct reading *r = &readings[s->metrics[one->metric].id];
    if (r->has_interval) {
        b->low[at] = r->low;
        b->high[at] = r->high;
    }
}

void bounds_add(struct bounds *b, const struct selection *s, int64_t step,
                const struct thermo *thermo) {
    if (!thermo || b->n == b->most || (step < b->due && step != b->last)) {
        return;
    }
    for (size_t i = 0; i < s->n_series; i++) {
        if (is_instrument(s, i)) {
            read_series(b, s, i, thermo);
        }
    }
    b->steps[b->n++] = step;
    b->due = step + b->stride;
}

static void emit_side(struct emit *e, const char *key, const double *at, size_t n,
                      void emit_end_of(struct emit *e, const char *key, double x)) {
    emit_array(e, key);
    for (size_t i = 0; i < n; i++) {
        emit_end_of(e, NULL, at[i]);
    }
    emit_end(e);
}

void bounds_emit(const struct bounds *b, const struct selection *s, size_t series, struct emit *e) {
    if (b->most == 0 || !is_instrument(s, series)) {
        return;
    }
    emit_object(e, "interval");
    emit_array(e, "step");
    for (size_t i = 0; i < b->n; i++) {
        emit_integer(e, NULL, b->steps[i]);
    }
    emit_end(e);
    emit_side(e, "low", b->low + series * b->most, b->n, emit_low);
    emit_side(e, "high", b->high + series * b->most, b->n, emit_high);
    emit_end(e);
}
