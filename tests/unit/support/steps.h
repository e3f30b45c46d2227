// Steps made by chance, and comparing them to the last bit.
#ifndef TESTS_SUPPORT_STEPS_H
#define TESTS_SUPPORT_STEPS_H

#include "base/num.h"
#include "tests/unit/support/support.h"
#include "wire/step.h"

#include <math.h>

enum values {
    VALUES_FLOAT, // each one a float exactly
    VALUES_DOUBLE,
    VALUES_ANY_BITS // NaNs of all kinds among them, which only blobs tell apart
};

// Often one of those that are something special.
static inline double random_value_of(uint64_t *seed, enum values values) {
    const double special[] = {0.0,  -0.0,          (double)NAN, (double)INFINITY, -(double)INFINITY,
                              1e38, num_missing(), 0x1p-149,    1.0,              -17};
    if (random_below(seed, 4) == 0) {
        return special[random_below(seed, COUNT(special))];
    }
    if (values == VALUES_ANY_BITS) {
        return from_bits(random_next(seed));
    }
    double x = random_unit(seed) * exp2((double)random_below(seed, 60) - 30);
    return values == VALUES_FLOAT ? (double)(float)x : x;
}

static inline void random_column(struct step *s, uint64_t *seed, enum statistic stat,
                                 const char *name, enum values values) {
    double *column = step_add_column(s, stat, name, name ? strlen(name) : 0);
    ck_assert_ptr_nonnull(column);
    for (size_t i = 0; i < s->n_layers; i++) {
        column[i] = random_value_of(seed, values);
    }
}

// Some of the known statistics, some of the job's own, some scalars.
static inline void random_step(struct step *s, uint64_t *seed, size_t n_layers, int64_t number,
                               enum values values) {
    static const char *const names[] = {"mine", "with \"quotes\"\n", "größe", "x", "w_mean2"};
    step_clear(s, n_layers);
    s->step = number;
    s->time = 1.7e9 + (double)number;
    s->loss = random_value_of(seed, values);
    s->lr = random_value_of(seed, values);
    s->batch_size = random_value_of(seed, values);
    s->loss_after = random_value_of(seed, values);
    s->val_loss = random_value_of(seed, values);
    for (unsigned stat = 1; stat < STAT_COUNT; stat++) {
        if (random_below(seed, 2)) {
            // Some columns have a mixture in them.
            enum values of = random_below(seed, 2) ? values : VALUES_FLOAT;
            random_column(s, seed, (enum statistic)stat, NULL, of);
        }
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        if (random_below(seed, 2)) {
            random_column(s, seed, STAT_NONE, names[i], values);
        }
        if (random_below(seed, 2)) {
            double x = random_value_of(seed, values);
            ck_assert(step_add_scalar(s, names[i], strlen(names[i]), x));
        }
    }
}

static inline void assert_same_columns(const struct step *a, const struct step *b) {
    ck_assert_uint_eq(a->n_layers, b->n_layers);
    ck_assert_uint_eq(a->n_columns, b->n_columns);
    for (size_t i = 0; i < a->n_columns; i++) {
        ck_assert_int_eq(a->columns[i].stat, b->columns[i].stat);
        ck_assert_str_eq(a->columns[i].name, b->columns[i].name);
        for (size_t l = 0; l < a->n_layers; l++) {
            uint64_t x = bits_of(a->columns[i].values[l]), y = bits_of(b->columns[i].values[l]);
            if (x != y) {
                ck_abort_msg("%s[%zu]: %016llx is not %016llx", a->columns[i].name, l,
                             (unsigned long long)x, (unsigned long long)y);
            }
        }
    }
}

static inline void assert_same_step(const struct step *a, const struct step *b) {
    ck_assert_int_eq(a->step, b->step);
    ASSERT_SAME_BITS(a->time, b->time);
    ASSERT_SAME_BITS(a->loss, b->loss);
    ASSERT_SAME_BITS(a->lr, b->lr);
    ASSERT_SAME_BITS(a->batch_size, b->batch_size);
    ASSERT_SAME_BITS(a->loss_after, b->loss_after);
    ASSERT_SAME_BITS(a->val_loss, b->val_loss);
    ck_assert_uint_eq(a->n_scalars, b->n_scalars);
    for (size_t i = 0; i < a->n_scalars; i++) {
        ck_assert_str_eq(a->scalars[i].name, b->scalars[i].name);
        ASSERT_SAME_BITS(a->scalars[i].value, b->scalars[i].value);
    }
    assert_same_columns(a, b);
}

#endif
