// The statistics of the detectors: what they promise about false alarms and delays, on numbers made
// up from a known distribution. test_alerts_life.c has the robust z and test_bocpd.c change points.
#include "test_probes_feed.h"

#include "alerts/cusum.h"
#include "alerts/differences.h"
#include "alerts/level.h"
#include "alerts/page_hinkley.h"
#include "alerts/spot.h"
#include "alerts/stair.h"

#include <math.h>

// Values until the chart fires, averaged over many charts.
static double measured_run_length(double k, double h, double delta, int charts, uint64_t seed) {
    struct dice dice = {seed};
    double values = 0;
    for (int i = 0; i < charts; i++) {
        struct cusum c = {0};
        do {
            values++;
        } while (cusum_add(&c, dice_normal(&dice) + delta, k) <= h);
    }
    return values / charts;
}

// The exact average run lengths, one-sided, by Nystroem's method (docs/alerting.md).
static const struct {
    double k, h, delta, arl;
} lengths[] = {
    {0.5, 4, 0, 335.368},   {0.5, 5, 0, 930.887},  {0.5, 4, 0.5, 26.6792},     {0.5, 4, 1, 8.3832},
    {0.5, 5, 0.5, 38.0096}, {0.5, 5, 1, 10.376},   {0.5, 8, 1, 16.372},        {0.5, 5, 2, 4.0089},
    {0.5, 8, 2, 6.0093},    {1, 6.1162, 2, 6.864}, {0.25, 22.3089, 1, 30.472},
};

START_TEST(cusum_runs_as_long_as_it_should) {
    double k = lengths[_i].k, h = lengths[_i].h, delta = lengths[_i].delta;
    // A run's length scatters by about its mean, so 4000 of them tell it to 1.6%.
    double measured = measured_run_length(k, h, delta, 4000, 7 + (uint64_t)_i);
    ck_assert_msg(fabs(measured / lengths[_i].arl - 1) < 0.06, "k %g h %g shift %g: %g, not %g", k,
                  h, delta, measured, lengths[_i].arl);
}
END_TEST

// Siegmund's approximation is within 1% at k = 0.5 and no drift.
START_TEST(cusum_thresholds_are_those_of_the_table) {
    static const double table[][2] = {
        {335.368, 4}, {930.887, 5}, {18965.7, 8}, {1e5, 9.6617}, {1e6, 11.9641}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ck_assert_double_eq_tol(cusum_threshold(0.5, table[i][0]), table[i][1], 0.02);
        ck_assert_double_eq_tol(cusum_run_length(0.5, table[i][1], 0) / table[i][0], 1, 0.015);
    }
}
END_TEST

// The worked numbers of the recursion.
START_TEST(page_hinkley_sums_what_lies_above_its_mean) {
    struct page_hinkley_settings s = {.delta = 0.5, .lambda = 3, .keep = 1, .least = 2};
    struct page_hinkley p = {0};
    ck_assert(!page_hinkley_add(&p, &s, 1)); // mean 1, sum max(0, -0.5)
    ck_assert_double_eq(p.sum, 0);
    ck_assert(!page_hinkley_add(&p, &s, 4)); // mean 2.5, sum 1
    ck_assert_double_eq_tol(p.sum, 1, 1e-12);
    ck_assert(page_hinkley_add(&p, &s, 7)); // mean 4, sum 1 + 2.5
    ck_assert_double_eq_tol(p.sum, 3.5, 1e-12);
}
END_TEST

START_TEST(page_hinkley_sees_a_drift_and_no_noise) {
    struct page_hinkley_settings s = {.delta = 0.5, .lambda = 12, .keep = 1, .least = 30};
    struct dice dice = {11};
    unsigned fired = 0, found = 0, delays = 0;
    for (int chart = 0; chart < 50; chart++) {
        struct page_hinkley p = {0};
        for (int i = 0; i < 2000; i++) {
            fired += page_hinkley_add(&p, &s, dice_normal(&dice));
        }
        for (unsigned i = 1; i <= 500; i++) { // a hundredth of the scatter a value
            if (page_hinkley_add(&p, &s, dice_normal(&dice) + 0.01 * i)) {
                found++;
                delays += i;
                break;
            }
        }
    }
    ck_assert_uint_eq(fired, 0); // as rare as a CUSUM of k 0.5 and h 12: one in a million
    ck_assert_uint_eq(found, 50);
    ck_assert_uint_lt(delays / 50, 150);
}
END_TEST

static void fill(struct spot *s, struct dice *dice, unsigned n, bool heavy) {
    for (unsigned i = 0; i < n; i++) {
        double x = dice_normal(dice);
        spot_add(s, heavy ? exp(x) : x);
    }
}

// Below it lie all but a share q: of normal values, and of log-normal ones, whose tail is heavy.
START_TEST(spot_finds_the_tail) {
    struct dice dice = {17 + (uint64_t)_i};
    double sum = 0, exact = _i ? exp(3.0902) : 3.0902; // one in a thousand lies above
    for (int k = 0; k < 20; k++) {
        struct spot s = {0};
        fill(&s, &dice, 5000, _i);
        ck_assert(spot_is_known(&s));
        sum += spot_threshold(&s, 1e-3);
    }
    ck_assert_msg(fabs(sum / 20 / exact - 1) < 0.1, "%g, not %g", sum / 20, exact);
}
END_TEST

// Beyond what so many values can show it errs: by some ten times where the tail is heavy.
START_TEST(spot_alarms_seldom) {
    struct dice dice = {23 + (uint64_t)_i};
    unsigned above = 0;
    for (int k = 0; k < 100; k++) {
        struct spot s = {0};
        fill(&s, &dice, 5000, _i);
        double bound = spot_threshold(&s, 1e-5);
        for (int i = 0; i < 10000; i++) {
            double x = dice_normal(&dice);
            above += (_i ? exp(x) : x) > bound;
        }
    }
    ck_assert_uint_lt(above, _i ? 1000 : 100); // of a million
    ck_assert_uint_gt(above, 0);
}
END_TEST

START_TEST(spot_says_nothing_before_it_knows) {
    struct dice dice = {29};
    struct spot s = {0};
    fill(&s, &dice, SPOT_LEARN - 1, false);
    ck_assert(!spot_is_known(&s));
    spot_add(&s, NAN);
    spot_add(&s, INFINITY);
    ck_assert(s.count == SPOT_LEARN - 1);
}
END_TEST

// A generalised Pareto distribution's own moments give back its shape and scale.
START_TEST(spot_fits_by_moments) {
    double shape = 0.2, scale = 3, mean = scale / (1 - shape), fitted[2];
    double variance = scale * scale / ((1 - shape) * (1 - shape) * (1 - 2 * shape));
    spot_fit(mean, variance, &fitted[0], &fitted[1]);
    ck_assert_double_eq_tol(fitted[0], shape, 1e-12);
    ck_assert_double_eq_tol(fitted[1], scale, 1e-12);
    // An exponential tail: each factor e of rarity is one scale further out.
    ck_assert_double_eq_tol(spot_quantile(2, 0, 3, 100, 10, 0.1 / exp(1)), 5, 1e-12);
    ck_assert_double_eq_tol(spot_quantile(2, 0.5, 3, 100, 10, 0.025), 2 + 6 * (2 - 1), 1e-12);
}
END_TEST

static double correlation_of(double (*next)(struct dice *, unsigned), unsigned n) {
    struct dice dice = {31};
    struct differences d = {0};
    double sum = 0;
    unsigned known = 0;
    for (unsigned i = 0; i < n; i++) {
        differences_add(&d, next(&dice, i));
        if (differences_are_known(&d)) {
            sum += differences_correlation(&d);
            known++;
        }
    }
    return sum / known;
}

static double white(struct dice *dice, unsigned i) {
    (void)i;
    return dice_normal(dice);
}
static double smooth(struct dice *dice, unsigned i) {
    (void)dice;
    return sin(0.05 * i);
}
static double zigzag(struct dice *dice, unsigned i) {
    return (i % 2 ? 1 : -1) + 0.05 * dice_normal(dice);
}

// White noise -1/2, a smooth course 1, a zigzag -1.
START_TEST(differences_tell_the_course) {
    ck_assert_double_eq_tol(correlation_of(white, 20000), -0.5, 0.02);
    ck_assert_double_gt(correlation_of(smooth, 2000), 0.95);
    ck_assert_double_lt(correlation_of(zigzag, 2000), -0.95);
}
END_TEST

START_TEST(differences_need_neighbours) {
    struct differences d = {0};
    for (int i = 0; i < DIFFERENCES_MEMORY; i++) {
        differences_add(&d, i % 3);
    }
    ck_assert(differences_are_known(&d));
    differences_break(&d);
    ck_assert(!differences_are_known(&d));
    differences_add(&d, NAN);
    ck_assert_uint_eq(d.count, 0);
}
END_TEST

// z of a level: as seldom beyond 5 as a normal value whose spread is known to some percent.
START_TEST(level_alarms_seldom) {
    static const struct level_settings s = {.memory = 64, .floor = 1e-9, .learn = 64, .hold = 64};
    struct dice dice = {37};
    struct level l = {0};
    unsigned far = 0;
    double square = 0;
    for (int i = 0; i < 200000; i++) {
        double z = level_observe(&l, &s, 3 + 0.1 * dice_normal(&dice));
        far += z > 5;
        square += z * z;
    }
    ck_assert_uint_le(far, 2);
    ck_assert_double_eq_tol(sqrt(square / 200000), 1, 0.05);
}
END_TEST

// What falls fast is followed where only rises are kept out.
START_TEST(level_follows_what_falls) {
    struct level_settings s = {.memory = 64, .floor = 0.02, .learn = 64, .hold = 500};
    for (int rises = 0; rises < 2; rises++) {
        struct level l = {0};
        s.rises = rises;
        for (int i = 0; i < 100; i++) {
            level_observe(&l, &s, i % 2 ? 0.02 : -0.02);
        }
        for (int i = 0; i < 200; i++) {
            level_observe(&l, &s, -3);
        }
        ck_assert(rises ? l.mean < -2.5 : l.mean > -0.1);
    }
}
END_TEST

// Where a level is known to have moved a new one is learnt from a few values, and scored by the
// spread that was known before.
START_TEST(level_keeps_its_spread_when_it_moves) {
    static const struct level_settings s = {.memory = 32, .floor = 1e-9, .learn = 64, .hold = 64};
    struct dice dice = {38};
    struct level l = {0};
    for (int i = 0; i < 300; i++) {
        level_observe(&l, &s, 3 + 0.1 * dice_normal(&dice));
    }
    double spread = l.spread;
    level_move(&l, 1);
    for (int i = 0; i < 100; i++) {
        ck_assert_double_le(fabs(level_observe(&l, &s, 7 + 0.1 * dice_normal(&dice))), 6);
        ck_assert_double_eq_tol(l.spread, spread, 0.5 * spread);
        ck_assert(i < LEVEL_FRESH || fabs(l.mean - 7) < 0.3);
        ck_assert((i < LEVEL_FRESH) == (l.z == 0));
    }
    level_move(&l, 2);
    ck_assert_double_ge(l.spread, spread);
    ck_assert_double_eq(level_observe(&l, &s, -5), 0);
    for (int i = 1; i < LEVEL_FRESH; i++) {
        level_observe(&l, &s, -5);
    }
    ck_assert_double_ge(level_observe(&l, &s, -2), 12);
}
END_TEST

// Noise alone, on a level or on a slope that is steeper than it, alarms less than once in 100,000.
START_TEST(stair_alarms_seldom) {
    struct dice dice = {39 + (uint64_t)_i};
    struct stair s = {0};
    for (int i = 0; i < 100000; i++) {
        double z = stair_add(&s, -0.2 * _i * i + 0.1 * dice_normal(&dice), 1e-9);
        ck_assert_double_le(z, 6);
        ck_assert(i + 1 >= STAIR_LEARN || z == 0);
    }
    ck_assert(_i > 0 || fabs(s.noise - 0.1) < 0.04);
}
END_TEST

// A step of d standard deviations is d / sqrt(2 / 10) once ten values have shown it, but for noise;
// one value is none, however high.
START_TEST(stair_sees_a_step) {
    struct dice dice = {42};
    for (int round = 0; round < 50; round++) {
        struct stair s = {0};
        double z = 0, noise = 0;
        for (int i = 0; i < 200 + STAIR_TREAD; i++) {
            noise = i < 200 ? s.noise : noise;
            double off = _i == 0 && i >= 200 ? 0.25 : _i == 1 && i == 205 ? 1000 : 0;
            z = stair_add(&s, off + 0.1 * dice_normal(&dice), 1e-9);
        }
        double expected = (_i == 0 ? 0.25 / noise : 0.4) / sqrt(0.2);
        ck_assert_double_eq_tol(z, expected, 4);
        ck_assert(_i == 0 || z < 6);
    }
}
END_TEST

int main(void) {
    TCase *t = tcase_create("detectors");
    tcase_add_loop_test(t, cusum_runs_as_long_as_it_should, 0,
                        (int)(sizeof lengths / sizeof *lengths));
    tcase_add_test(t, cusum_thresholds_are_those_of_the_table);
    tcase_add_test(t, page_hinkley_sums_what_lies_above_its_mean);
    tcase_add_test(t, page_hinkley_sees_a_drift_and_no_noise);
    tcase_add_loop_test(t, spot_finds_the_tail, 0, 2);
    tcase_add_loop_test(t, spot_alarms_seldom, 0, 2);
    tcase_add_test(t, spot_says_nothing_before_it_knows);
    tcase_add_test(t, spot_fits_by_moments);
    tcase_add_test(t, differences_tell_the_course);
    tcase_add_test(t, differences_need_neighbours);
    tcase_add_loop_test(t, stair_alarms_seldom, 0, 3);
    tcase_add_loop_test(t, stair_sees_a_step, 0, 2);
    tcase_add_test(t, level_alarms_seldom);
    tcase_add_test(t, level_follows_what_falls);
    tcase_add_test(t, level_keeps_its_spread_when_it_moves);
    Suite *s = suite_create("detectors");
    suite_add_tcase(s, t);
    return feed_main(s);
}
