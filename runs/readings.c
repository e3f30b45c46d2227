#include "runs/readings.h"

#include "base/memory.h"
#include "base/num.h"
#include "probes/metric.h"
#include "storage/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Both rest on averages over some 20 steps, so that a spike shows for a while and is gone long
// before the next entry.
const enum metric readings_stepwise[READINGS_STEPWISE] = {METRIC_STABILITY, METRIC_COHERENCE};

static size_t n_extremes(size_t n_bodies) {
    return READINGS_STEPWISE * n_bodies;
}

static void clear(struct readings *r) {
    for (size_t i = 0; i < n_extremes(r->n_bodies); i++) {
        r->low[i] = r->high[i] = num_missing();
    }
}

void readings_begin(struct readings *r, size_t n_layers) {
    readings_free(r);
    r->n_bodies = n_layers + 1;
    r->low = must_alloc(n_extremes(r->n_bodies) * sizeof *r->low);
    r->high = must_alloc(n_extremes(r->n_bodies) * sizeof *r->high);
    clear(r);
}

void readings_free(struct readings *r) {
    free(r->low);
    free(r->high);
    *r = (struct readings){0};
}

static size_t layer_of(const struct readings *r, size_t body) {
    return body + 1 < r->n_bodies ? body : THERMO_GLOBAL;
}

void readings_observe(struct readings *r, const struct thermo *t) {
    if (readings_are_due(r)) {
        clear(r); // the entry has what came before
    }
    r->steps++;
    for (size_t m = 0; m < READINGS_STEPWISE; m++) {
        double *low = r->low + m * r->n_bodies, *high = r->high + m * r->n_bodies;
        for (size_t b = 0; b < r->n_bodies; b++) {
            double x = thermo_value(t, layer_of(r, b), readings_stepwise[m]);
            if (!isnan(x)) {
                low[b] = x < low[b] || isnan(low[b]) ? x : low[b];
                high[b] = x > high[b] || isnan(high[b]) ? x : high[b];
            }
        }
    }
}

bool readings_are_due(const struct readings *r) {
    return r->steps % READINGS_EVERY == 1;
}

bool readings_take_rest(struct readings *r) {
    bool any = r->steps > READINGS_EVERY && !readings_are_due(r) && r->rested != r->steps;
    r->rested = any ? r->steps : r->rested;
    return any;
}

// Values of all bodies under a name; what no body has is left out.
static bool put(struct step *out, const char *name, const double *values) {
    bool any = false;
    for (size_t i = 0; i < out->n_layers; i++) {
        any = any || !num_is_missing(values[i]);
    }
    if (any) {
        double *column = step_add_column(out, STAT_NONE, name, strlen(name));
        if (!column) {
            return false;
        }
        memcpy(column, values, out->n_layers * sizeof *column);
    }
    double whole = values[out->n_layers];
    return num_is_missing(whole) || step_add_scalar(out, name, strlen(name), whole);
}

static bool put_beside(struct step *out, enum metric m, const char *suffix, const double *values) {
    char name[LIMIT_STAT_NAME];
    snprintf(name, sizeof name, "%s%s", metric_name(m), suffix);
    return put(out, name, values);
}

static bool has_intervals(const struct readings *r) {
    return !readings_are_due(r) || r->steps / READINGS_EVERY % INTERVALS_EVERY == 0;
}

static float float_below(double x) {
    float f = (float)x;
    return (double)f > x ? nextafterf(f, -INFINITY) : f;
}

static float float_above(double x) {
    float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

// `ends` has room for two of each body.
static bool put_interval(const struct readings *r, const struct thermo *t, enum metric m,
                         double *ends, struct step *out) {
    double *low = ends, *high = ends + r->n_bodies;
    for (size_t b = 0; b < r->n_bodies; b++) {
        bool has = thermo_interval(t, layer_of(r, b), m, &low[b], &high[b]);
        low[b] = has ? (double)float_below(low[b]) : num_missing();
        high[b] = has ? (double)float_above(high[b]) : num_missing();
    }
    return put_beside(out, m, READING_LOW, low) && put_beside(out, m, READING_HIGH, high);
}

static bool put_metric(const struct readings *r, const struct thermo *t, enum metric m,
                       double *values, struct step *out) {
    for (size_t b = 0; b < r->n_bodies; b++) {
        values[b] = thermo_value(t, layer_of(r, b), m);
    }
    return put(out, metric_name(m), values) &&
           (!has_intervals(r) || put_interval(r, t, m, values, out));
}

bool readings_print(const struct readings *r, const struct thermo *t, struct step *out) {
    double *values = try_calloc(2 * r->n_bodies, sizeof *values);
    bool good = values != NULL;
    step_clear(out, r->n_bodies - 1);
    for (enum metric m = 0; good && m < METRIC_COUNT; m++) {
        good = m == METRIC_QUADRANT || put_metric(r, t, m, values, out);
    }
    for (size_t i = 0; good && i < READINGS_STEPWISE; i++) {
        enum metric m = readings_stepwise[i];
        good = put_beside(out, m, READING_LEAST, r->low + i * r->n_bodies) &&
               put_beside(out, m, READING_GREATEST, r->high + i * r->n_bodies);
    }
    free(values);
    return good;
}

void readings_save(const struct readings *r, struct buf *out) {
    buf_put(out, &r->steps, sizeof r->steps);
    buf_put(out, &r->rested, sizeof r->rested);
    buf_put(out, r->low, n_extremes(r->n_bodies) * sizeof *r->low);
    buf_put(out, r->high, n_extremes(r->n_bodies) * sizeof *r->high);
}

size_t readings_load(struct readings *r, size_t n_layers, const void *bytes, size_t size) {
    size_t extremes = n_extremes(n_layers + 1) * sizeof *r->low;
    const char *from = bytes;
    const size_t counts = sizeof r->steps + sizeof r->rested;
    size_t total = counts + 2 * extremes;
    if (size < total) {
        return 0;
    }
    readings_begin(r, n_layers);
    memcpy(&r->steps, from, sizeof r->steps);
    memcpy(&r->rested, from + sizeof r->steps, sizeof r->rested);
    memcpy(r->low, from + counts, extremes);
    memcpy(r->high, from + counts + extremes, extremes);
    return total;
}
