#include "storage/tier.h"

#include "base/float32.h"
#include "base/num.h"

#include <float.h>
#include <math.h>

int64_t tier_steps(unsigned tier) {
    int64_t steps = tier ? TIER_FIRST : 1;
    for (unsigned t = 1; t < tier; t++) {
        steps *= TIER_FACTOR;
    }
    return steps;
}

static double least(double a, double b) {
    return isnan(a) || b < a ? b : a;
}

static double greatest(double a, double b) {
    return isnan(a) || b > a ? b : a;
}

void tier_cell_clear(struct tier_cell *c) {
    for (unsigned a = 0; a < AGGREGATES; a++) {
        bool is_number = a == AGGREGATE_COUNT || a == AGGREGATE_NONFINITE || a == AGGREGATE_LAG;
        c->value[a] = is_number ? 0 : num_missing();
    }
}

void tier_cell_add(struct tier_cell *c, double value) {
    struct tier_cell one = {.value = {[AGGREGATE_LAST] = value,
                                      [AGGREGATE_MIN] = value,
                                      [AGGREGATE_MAX] = value,
                                      [AGGREGATE_MEAN] = value,
                                      [AGGREGATE_COUNT] = 1,
                                      [AGGREGATE_NONFINITE] = isfinite(value) ? 0 : 1}};
    if (!num_is_missing(value)) {
        tier_cell_join(c, &one);
    }
}

void tier_cell_widen(struct tier_cell *c, double low, double high) {
    if (isnan(low) || isnan(high)) {
        return;
    }
    if (c->value[AGGREGATE_COUNT] <= 0) {
        tier_cell_add(c, high);
    }
    c->value[AGGREGATE_MIN] = least(c->value[AGGREGATE_MIN], low);
    c->value[AGGREGATE_MAX] = greatest(c->value[AGGREGATE_MAX], high);
}

static double finite_count(const struct tier_cell *c) {
    return c->value[AGGREGATE_COUNT] - c->value[AGGREGATE_NONFINITE];
}

// Of the finite values of both.
static double join_means(const struct tier_cell *a, const struct tier_cell *b) {
    double n = finite_count(a), m = finite_count(b);
    if (n <= 0 || m <= 0) {
        return n > 0 ? a->value[AGGREGATE_MEAN] : m > 0 ? b->value[AGGREGATE_MEAN] : num_missing();
    }
    // Neither the difference nor a sum may overflow.
    return a->value[AGGREGATE_MEAN] * (n / (n + m)) + b->value[AGGREGATE_MEAN] * (m / (n + m));
}

void tier_cell_join(struct tier_cell *c, const struct tier_cell *later) {
    if (later->value[AGGREGATE_COUNT] <= 0) {
        return;
    }
    c->value[AGGREGATE_MEAN] = join_means(c, later);
    if (c->value[AGGREGATE_COUNT] <= 0) {
        c->value[AGGREGATE_MIN] = later->value[AGGREGATE_MIN];
        c->value[AGGREGATE_MAX] = later->value[AGGREGATE_MAX];
    } else {
        c->value[AGGREGATE_MIN] = least(c->value[AGGREGATE_MIN], later->value[AGGREGATE_MIN]);
        c->value[AGGREGATE_MAX] = greatest(c->value[AGGREGATE_MAX], later->value[AGGREGATE_MAX]);
    }
    c->value[AGGREGATE_LAST] = later->value[AGGREGATE_LAST];
    c->value[AGGREGATE_LAG] = later->value[AGGREGATE_LAG];
    c->value[AGGREGATE_COUNT] += later->value[AGGREGATE_COUNT];
    c->value[AGGREGATE_NONFINITE] += later->value[AGGREGATE_NONFINITE];
}

// A mean of floats need not take more bytes than they do.
static void round_mean(struct tier_cell *c) {
    double *mean = &c->value[AGGREGATE_MEAN];
    if (isfinite(*mean) && fabs(*mean) <= (double)FLT_MAX &&
        float32_fits(&c->value[AGGREGATE_MIN], 1) && float32_fits(&c->value[AGGREGATE_MAX], 1)) {
        *mean = (double)(float)*mean;
    }
}

// The columns of one quantity in the builder that is made of, from `at` on.
struct input {
    struct column_key key;
    size_t rows;
    bool is_tier;
    const double *values[AGGREGATES]; // entry after entry
};

// False when there is no such column, or nothing to make of it.
static bool find_input(const struct builder *from, size_t at, bool is_tier, struct input *in) {
    in->is_tier = is_tier;
    in->values[AGGREGATE_LAST] = builder_column_at(from, at, &in->key, &in->rows);
    for (size_t a = 1; is_tier && a < AGGREGATES; a++) {
        struct column_key key;
        size_t rows;
        in->values[a] = builder_column_at(from, at + a, &key, &rows);
    }
    return in->key.kind != COLUMN_FIELD || in->key.id != SEGMENT_TIME;
}

// Row `row` of the entries first .. end - 1.
static void gather(const struct builder *from, const struct input *in, size_t row, size_t first,
                   size_t end, struct tier_cell *cell) {
    double last = (double)builder_step(from, end - 1);
    tier_cell_clear(cell);
    for (size_t i = first; i < end; i++) {
        size_t at = i * in->rows + row;
        struct tier_cell one;
        tier_cell_clear(&one);
        if (in->is_tier) {
            for (unsigned a = 0; a < AGGREGATES; a++) {
                one.value[a] = in->values[a][at];
            }
        } else {
            tier_cell_add(&one, in->values[AGGREGATE_LAST][at]);
        }
        one.value[AGGREGATE_LAG] += last - (double)builder_step(from, i);
        tier_cell_join(cell, &one);
    }
    round_mean(cell);
}

// One quantity's bucket of the entries first .. end - 1.
static bool build_column(const struct builder *from, const struct input *in, size_t first,
                         size_t end, struct builder *to) {
    double *values[AGGREGATES];
    for (unsigned a = 0; a < AGGREGATES; a++) {
        struct column_key key = in->key;
        key.aggregate = (enum aggregate)a;
        values[a] = builder_column(to, &key, in->rows);
        if (!values[a]) {
            return false;
        }
    }
    for (size_t row = 0; row < in->rows; row++) {
        struct tier_cell cell;
        gather(from, in, row, first, end, &cell);
        for (unsigned a = 0; a < AGGREGATES; a++) {
            values[a][row] = cell.value[a];
        }
    }
    return true;
}

bool tier_build(const struct builder *from, size_t factor, struct builder *to) {
    bool is_tier = builder_level(from) > 0;
    size_t n = builder_n(from);
    builder_set_layers(to, builder_layers(from));
    for (size_t first = 0; first < n; first += factor) {
        size_t end = n - first < factor ? n : first + factor;
        if (!builder_add_bucket(to, builder_first(from, first), builder_step(from, end - 1))) {
            return false;
        }
        for (size_t at = 0; at < builder_columns(from); at += is_tier ? AGGREGATES : 1) {
            struct input in;
            if (find_input(from, at, is_tier, &in) && !build_column(from, &in, first, end, to)) {
                return false;
            }
        }
    }
    return true;
}
