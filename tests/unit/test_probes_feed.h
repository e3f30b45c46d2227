// Streams of made-up steps for the tests of probes/.
#ifndef TESTS_UNIT_TEST_PROBES_FEED_H
#define TESTS_UNIT_TEST_PROBES_FEED_H

#include "base/num.h"
#include "probes/metric.h"
#include "probes/thermo.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEED_LAYERS_MAX 8

// One step under construction: everything starts as 'not sent'.
struct feed {
    double column[STAT_COUNT][FEED_LAYERS_MAX];
    struct thermo_step step;
};

static inline void feed_clear(struct feed *f, int64_t step) {
    memset(f, 0, sizeof *f);
    f->step = (struct thermo_step){
        .step = step,
        .loss = num_missing(),
        .lr = num_missing(),
        .batch_size = num_missing(),
        .loss_after = num_missing(),
    };
}

static inline void feed_set(struct feed *f, enum statistic id, size_t layer, double x) {
    if (!f->step.stat[id]) {
        for (size_t i = 0; i < FEED_LAYERS_MAX; i++) {
            f->column[id][i] = num_missing();
        }
        f->step.stat[id] = f->column[id];
    }
    f->column[id][layer] = x;
}

// A mean square of x in the keys that carry it.
static inline void feed_square(struct feed *f, enum statistic mean, enum statistic var,
                               size_t layer, double x) {
    feed_set(f, mean, layer, 0);
    feed_set(f, var, layer, x);
}

static inline void feed_weights(struct feed *f, size_t layer, double x) {
    feed_square(f, STAT_W_MEAN, STAT_W_VAR, layer, x);
}
static inline void feed_gradient(struct feed *f, size_t layer, double x) {
    feed_square(f, STAT_G_MEAN, STAT_G_VAR, layer, x);
}
static inline void feed_update(struct feed *f, size_t layer, double x) {
    feed_square(f, STAT_U_MEAN, STAT_U_VAR, layer, x);
}

static inline struct thermo_facts facts_sgd(double momentum, double lr) {
    return (struct thermo_facts){.optimizer = OPTIMIZER_SGD,
                                 .momentum = momentum,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .lr = lr,
                                 .batch_size = 1};
}

static inline struct thermo_facts facts_adam(double lr) {
    return (struct thermo_facts){
        .optimizer = OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .lr = lr, .batch_size = 1};
}

static inline struct reading feed_read(const struct thermo *t, size_t layer, enum metric m) {
    struct reading r[METRIC_COUNT];
    thermo_read(t, layer, r);
    return r[m];
}

// The value must be there and be x within the tolerance.
static inline void expect_value(const struct thermo *t, size_t layer, enum metric m, double x,
                                double tolerance) {
    struct reading r = feed_read(t, layer, m);
    ck_assert_msg(r.reason == NULL, "%s: %s", metric_name(m), r.reason);
    ck_assert_msg(fabs(r.value - x) <= tolerance, "%s is %.17g, not %.17g", metric_name(m), r.value,
                  x);
}

static inline void expect_reason(const struct thermo *t, size_t layer, enum metric m,
                                 const char *reason) {
    struct reading r = feed_read(t, layer, m);
    ck_assert_msg(r.reason && strcmp(r.reason, reason) == 0, "%s: %.17g, '%s' instead of '%s'",
                  metric_name(m), r.value, r.reason ? r.reason : "", reason);
    ck_assert(num_is_missing(r.value));
    ck_assert(num_is_missing(thermo_value(t, layer, m)));
}

static inline bool same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

// Everything a and b can say is the same to the last bit, and thermo_value agrees with thermo_read.
static inline void expect_same_readings(const struct thermo *a, const struct thermo *b) {
    struct reading ra[METRIC_COUNT], rb[METRIC_COUNT];
    for (size_t i = 0; i <= thermo_layers(a); i++) {
        size_t layer = i < thermo_layers(a) ? i : THERMO_GLOBAL;
        thermo_read(a, layer, ra);
        thermo_read(b, layer, rb);
        for (enum metric m = 0; m < METRIC_COUNT; m++) {
            ck_assert(same_bits(ra[m].value, rb[m].value));
            ck_assert(ra[m].reason == rb[m].reason);
            ck_assert(ra[m].no_interval == rb[m].no_interval);
            ck_assert(ra[m].has_interval == rb[m].has_interval);
            ck_assert(same_bits(ra[m].low, rb[m].low) && same_bits(ra[m].high, rb[m].high));
            ck_assert(same_bits(ra[m].value, thermo_value(a, layer, m)));
        }
    }
}

// Repeatable random numbers: splitmix64.
struct dice {
    uint64_t state;
};

static inline double dice_uniform(struct dice *d) {
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static inline double dice_normal(struct dice *d) {
    double r = sqrt(-2 * log(dice_uniform(d)));
    return r * cos(2 * M_PI * dice_uniform(d));
}

static inline bool dice_chance(struct dice *d, double p) {
    return dice_uniform(d) < p;
}

// One layer of this many parameters.
enum { N = 1000 };
static const double one_layer[] = {N};

static inline struct thermo *create_sgd(double momentum) {
    struct thermo_facts facts = facts_sgd(momentum, 0.1);
    return thermo_create(&facts, 1, one_layer);
}

// A healthy step of one layer, with everything that is read.
static inline void feed_healthy(struct feed *f, int64_t step) {
    feed_clear(f, step);
    double phase = (double)(step % 7) / 100;
    f->step.loss = 1 + phase;
    f->step.lr = 0.1;
    f->step.batch_size = 16;
    feed_weights(f, 0, 0.01 * exp((double)step * 1e-4));
    feed_gradient(f, 0, 1.5 + phase);
    feed_update(f, 0, 0.05 + phase / 100);
    feed_set(f, STAT_GW, 0, 500 + phase);
    feed_set(f, STAT_GU, 0, -3 - phase);
    feed_set(f, STAT_GU_PREV, 0, 0.2 + phase);
    feed_set(f, STAT_G_NOISE, 0, 1 + phase);
    feed_square(f, STAT_Z_MEAN, STAT_Z_VAR, 0, 1 + phase);
    feed_square(f, STAT_A_MEAN, STAT_A_VAR, 0, 0.5);
}

static inline void observe_healthy(struct thermo *t, int64_t from, int64_t to) {
    struct feed f;
    for (int64_t k = from; k < to; k++) {
        feed_healthy(&f, k);
        thermo_observe(t, &f.step);
    }
}

static inline int feed_main(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
