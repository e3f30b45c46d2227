#include "api/buckets.h"

#include "base/num.h"

#include <math.h>

void buckets_init(struct buckets *b, size_t points) {
    CHECK(points > 0);
    *b = (struct buckets){.points = points, .width = 1};
}

void buckets_free(struct buckets *b) {
    free(b->at);
    *b = (struct buckets){.points = b->points, .width = 1};
}

struct bucket bucket_of(int64_t step, const struct tier_cell *cell) {
    return (struct bucket){.step = step,
                           .value = cell->value[AGGREGATE_LAST],
                           .min = cell->value[AGGREGATE_MIN],
                           .max = cell->value[AGGREGATE_MAX],
                           .mean = cell->value[AGGREGATE_MEAN],
                           .count = (uint64_t)cell->value[AGGREGATE_COUNT],
                           .nonfinite = (uint64_t)cell->value[AGGREGATE_NONFINITE]};
}

static double least(double a, double b) {
    return isnan(a) || b < a ? b : a;
}

static double greatest(double a, double b) {
    return isnan(a) || b > a ? b : a;
}

static double join_means(const struct bucket *a, const struct bucket *b) {
    double n = (double)(a->count - a->nonfinite), m = (double)(b->count - b->nonfinite);
    if (n <= 0 || m <= 0) {
        return n > 0 ? a->mean : b->mean;
    }
    return a->mean * (n / (n + m)) + b->mean * (m / (n + m));
}

// b follows a.
static struct bucket join(const struct bucket *a, const struct bucket *b) {
    return (struct bucket){.step = b->step,
                           .value = b->value,
                           .min = least(a->min, b->min),
                           .max = greatest(a->max, b->max),
                           .mean = join_means(a, b),
                           .count = a->count + b->count,
                           .nonfinite = a->nonfinite + b->nonfinite};
}

// How many buckets at the front are never merged: the first value, where there is room for two.
static size_t kept_apart(const struct buckets *b) {
    return b->points > 1 ? 1 : 0;
}

static void halve(struct buckets *b) {
    size_t to = kept_apart(b);
    for (size_t from = to; from < b->n; from += 2) {
        b->at[to++] = from + 1 < b->n ? join(&b->at[from], &b->at[from + 1]) : b->at[from];
    }
    b->n = to;
    b->width *= 2;
}

static bool append(struct buckets *b, const struct bucket *one) {
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 16;
        cap = cap < b->points ? cap : b->points;
        struct bucket *grown = try_grow(b->at, cap * sizeof *grown);
        if (!grown) {
            return false;
        }
        b->at = grown;
        b->cap = cap;
    }
    b->at[b->n++] = *one;
    return true;
}

static bool takes_more(const struct buckets *b) {
    return b->n > kept_apart(b) && b->at[b->n - 1].count < b->width;
}

// Merges what is there to buckets of the width.
static void fold(struct buckets *b) {
    size_t to = kept_apart(b);
    for (size_t from = to; from < b->n; from++) {
        bool fits = to > kept_apart(b) && b->at[to - 1].count < b->width;
        if (fits) {
            b->at[to - 1] = join(&b->at[to - 1], &b->at[from]);
        } else {
            b->at[to++] = b->at[from];
        }
    }
    b->n = to < b->n ? to : b->n;
}

// A second value of the step takes the first one's place as the last. False: it is another step.
static bool add_to_last(struct buckets *b, const struct bucket *one) {
    struct bucket *last = b->n ? &b->at[b->n - 1] : NULL;
    if (!last || last->step != one->step || one->count != 1) {
        return false;
    }
    if (last->count == 1) {
        *last = *one;
    } else {
        *last = join(last, one);
        last->count--;
    }
    return true;
}

bool buckets_join(struct buckets *b, const struct bucket *one) {
    if (one->count == 0 || add_to_last(b, one)) {
        return true;
    }
    if (one->count > b->width) {
        b->width = one->count;
        fold(b);
    }
    b->is_merged = b->is_merged || one->count > 1 || one->min < one->value || one->max > one->value;
    if (!takes_more(b) && b->n == b->points) {
        halve(b);
    }
    if (takes_more(b)) {
        struct bucket *last = &b->at[b->n - 1];
        *last = join(last, one);
        return true;
    }
    return append(b, one);
}

bool buckets_add(struct buckets *b, int64_t step, double value) {
    struct bucket one = {.step = step,
                         .value = value,
                         .min = value,
                         .max = value,
                         .mean = isfinite(value) ? value : num_missing(),
                         .count = 1,
                         .nonfinite = isfinite(value) ? 0u : 1u};
    return num_is_missing(value) || buckets_join(b, &one);
}

bool buckets_are_merged(const struct buckets *b) {
    return b->width > 1 || b->is_merged;
}
