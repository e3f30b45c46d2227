// Properties that any thermometer must have, saving and loading, and a simulated training whose
// temperatures are known.
#include "test_probes_feed.h"

#include "probes/fieller.h"

START_TEST(segments_keep_the_origin) {
    struct thermo *t = create_sgd(0.9), *fresh = create_sgd(0.9);
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    observe_healthy(t, 0, 100);
    thermo_begin_segment(t, &facts);
    expect_reason(t, 0, METRIC_KINETIC, "no step yet");
    observe_healthy(t, 50, 80);
    observe_healthy(fresh, 50, 80);
    // Windows and sums know only the new stretch ...
    const enum metric same[] = {METRIC_KINETIC, METRIC_STABILITY, METRIC_DRIFT, METRIC_HEAT,
                                METRIC_EFFICIENCY};
    for (int i = 0; i < 5; i++) {
        ck_assert(same_bits(thermo_value(t, 0, same[i]), thermo_value(fresh, 0, same[i])));
    }
    // ... the transition goes back to the state's beginning, step 0.
    double ds = 500 * 79e-4, de = (79 % 7) / 100.0;
    expect_value(t, THERMO_GLOBAL, METRIC_TRANSITION, de / ds, 1e-9);
    // A layer's work is only known since the rewind, so that its entropy is taken from there as
    // well.
    double work = 0;
    for (int k = 50; k < 79; k++) {
        work -= 3 + (k % 7) / 100.0;
    }
    expect_value(t, 0, METRIC_TRANSITION, work / (500 * 29e-4), 1e-9);
    thermo_destroy(t);
    thermo_destroy(fresh);
}
END_TEST

START_TEST(states_begin_anew) {
    struct thermo *t = create_sgd(0.9);
    observe_healthy(t, 0, 100);
    double kinetic = thermo_value(t, 0, METRIC_KINETIC);
    thermo_begin_state(t);
    observe_healthy(t, 100, 131);
    double ds = 500 * 30e-4, de = (130 % 7 - 100 % 7) / 100.0;
    expect_value(t, THERMO_GLOBAL, METRIC_TRANSITION, de / ds, 1e-9);
    double heat = 0;
    for (int k = 100; k < 131; k++) {
        heat += 3 + (k % 7) / 100.0;
    }
    expect_value(t, 0, METRIC_HEAT, heat, 1e-9);
    expect_value(t, 0, METRIC_KINETIC, kinetic, 0.01 * kinetic); // windows go on
    ck_assert_uint_eq(thermo_state(t), 1);
    thermo_destroy(t);
}
END_TEST

static void observe_loss(struct thermo *t, int64_t step, double loss) {
    struct feed f;
    feed_healthy(&f, step);
    f.step.loss = loss;
    thermo_observe(t, &f.step);
}

static void expect_half_width(const struct thermo *t, size_t layer, enum metric m, double half) {
    struct reading r = feed_read(t, layer, m);
    ck_assert(r.has_interval);
    ck_assert_double_eq_tol((r.high - r.low) / 2, half, 1e-3 * half);
}

// About the interval of a normal error, which Student's t and the fit's own error widen a little.
static void expect_about_half_width(const struct thermo *t, enum metric m, double error) {
    struct reading r = feed_read(t, THERMO_GLOBAL, m);
    ck_assert(r.has_interval);
    double half = (r.high - r.low) / 2;
    ck_assert_double_ge(half, 1.959964 * error);
    ck_assert_double_le(half, 1.2 * 1.959964 * error);
}

// A loss that jumps up and down by 0.2 has s^2 = 0.2^2 / 2 from one to the next, and is 0.1 off its
// course, so that the difference of two is 0.1 sqrt(2) uncertain.
START_TEST(noise_of_single_losses) {
    struct thermo *t = create_sgd(0.9);
    for (int k = 0; k < 120; k++) {
        observe_loss(t, k, k % 2 ? 1.1 : 0.9);
    }
    double s = 0.2 / sqrt(2), ds = 500 * 119e-4;
    expect_half_width(t, THERMO_GLOBAL, METRIC_ENERGY, 1.959964 * s);
    expect_about_half_width(t, METRIC_TRANSITION, 0.1 * sqrt(2) / ds);
    double work2 = 0; // the layer's work: the sum of its terms' variances
    for (int k = 1; k < 120; k++) {
        double change = (k % 7 - (k - 1) % 7) / 100.0;
        work2 += change * change / 2;
    }
    expect_half_width(t, 0, METRIC_ENERGY, 1.959964 * sqrt(work2));
    expect_half_width(t, 0, METRIC_TRANSITION, 1.959964 * sqrt(work2) / ds);
    thermo_begin_state(t); // the noise of the old data is forgotten
    for (int k = 120; k < 220; k++) {
        observe_loss(t, k, k % 2 ? 3.01 : 2.99);
        struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_ENERGY);
        ck_assert(r.has_interval == (k >= 128));
    }
    expect_half_width(t, THERMO_GLOBAL, METRIC_ENERGY, 1.959964 * 0.02 / sqrt(2));
    thermo_destroy(t);
}
END_TEST

static void observe_pair(struct thermo *t, int64_t step, double loss, double entropy) {
    struct feed f;
    feed_clear(&f, step);
    f.step.loss = loss;
    feed_set(&f, STAT_W_VAR, 0, exp(entropy / 500));
    thermo_observe(t, &f.step);
}

// An entropy that jumps up and down by 1 around an even rise. The loss goes down evenly, surely.
START_TEST(noise_of_the_entropy) {
    struct thermo *t = create_sgd(0.9);
    for (int k = 0; k <= 100; k++) {
        observe_pair(t, k, 1 - 1e-9 * k, 0.5 * k + k % 2);
    }
    expect_value(t, THERMO_GLOBAL, METRIC_TRANSITION, -1e-7 / 50, 1e-16);
    expect_about_half_width(t, METRIC_TRANSITION, 1e-7 / 50 * sqrt(0.25 + 0.25) / 50);
    thermo_destroy(t);
}
END_TEST

// Noise that energy and entropy share moves the state along its course: the chord is sure.
START_TEST(noise_that_both_share) {
    struct thermo *t = create_sgd(0.9);
    struct dice dice = {17};
    double s = 0;
    for (int k = 0; k <= 100; k++) {
        s = 0.5 * k + dice_normal(&dice);
        observe_pair(t, k, 1 + 0.02 * s, s);
    }
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_TRANSITION);
    ck_assert_double_eq_tol(r.value, 0.02, 1e-9);
    ck_assert(r.has_interval && r.high - r.low < 1e-6);
    thermo_destroy(t);
}
END_TEST

// Boltzmann ensembles on the way from T = 2 to 1: the noise that energy and entropy do not share is
// greatest at the ends. However short the passage, the chord's interval holds.
START_TEST(chords_of_short_passages) {
    static const int lengths[] = {32, 64, 100, 160};
    enum { RUNS = 1000, SIZE = 1000 };
    struct dice dice = {(uint64_t)_i + 1};
    int held = 0, told = 0, steps = lengths[_i];
    double size = SIZE;
    for (int i = 0; i < RUNS; i++) {
        struct thermo_facts facts = facts_sgd(0.9, 0.1);
        struct thermo *t = thermo_create(&facts, 1, &size);
        for (int k = 0; k < steps; k++) {
            // Chi-square of SIZE by Wilson and Hilferty.
            double small = 2 / (9 * size), root = 1 - small + sqrt(small) * dice_normal(&dice);
            double squares = (2 - (double)k / (steps - 1)) * size * root * root * root;
            struct feed f;
            feed_clear(&f, k);
            f.step.loss = squares / 2;
            feed_weights(&f, 0, squares / SIZE);
            thermo_observe(t, &f.step);
        }
        struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_TRANSITION);
        told += r.has_interval;
        held += r.has_interval && r.low <= 1 / log(2) && 1 / log(2) <= r.high;
        thermo_destroy(t);
    }
    ck_assert_int_ge(told, RUNS * 99 / 100);
    ck_assert_msg(held >= 0.93 * told && held <= 0.98 * told, "held %d of %d", held, told);
}
END_TEST

// Losses around a straight E(S), of which the window holds some 224: the interval of the slope is
// the textbook's, s / sqrt(sum x^2), and one loss that spikes does not turn the line.
START_TEST(slope_among_noise) {
    struct thermo *t = create_sgd(0.9);
    struct dice dice = {23};
    for (int k = 0; k < 1000; k++) {
        double spike = _i == 1 && k == 950 ? 100 : 0;
        observe_pair(t, k, 5 + 0.02 * 0.5 * k + 0.1 * dice_normal(&dice) + spike, 0.5 * k);
    }
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL);
    ck_assert(r.steps >= 224 && r.steps <= 256);
    double error = 0.1 / sqrt(pow(r.steps, 3) / 12 * 0.25);
    ck_assert_double_eq_tol(r.value, 0.02, 4 * error);
    ck_assert(r.has_interval);
    double half = (r.high - r.low) / 2;
    ck_assert(half > 0.6 * 1.96 * error && half < 1.7 * 1.96 * error);
    thermo_destroy(t);
}
END_TEST

// E(S) = S^2: the slope at the window's middle, surely, however curved.
START_TEST(slope_of_a_curve) {
    struct thermo *t = create_sgd(0.9);
    for (int k = 0; k < 1000; k++) {
        observe_pair(t, k, 1e-4 * k * k, k);
    }
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL);
    double middle = 999 - (r.steps - 1) / 2;
    ck_assert_double_eq_tol(r.value, 2e-4 * middle, 1e-6);
    ck_assert(r.has_interval && r.high - r.low < 1e-3 * r.value);
    thermo_destroy(t);
}
END_TEST

// A loss whose noise lasts for hundreds of steps hides in the course: no interval can be right.
START_TEST(lasting_noise_is_indeterminate) {
    struct thermo *t = create_sgd(0.9);
    struct dice dice = {29};
    double noise = 0;
    for (int k = 0; k < 500; k++) {
        noise += (dice_normal(&dice) - noise) / 100;
        observe_pair(t, k, 5 + noise, 0.5 * k);
    }
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL);
    ck_assert(!r.reason && !r.has_interval);
    ck_assert_msg(strncmp(r.no_interval, "indeterminate", 13) == 0, "%s", r.no_interval);
    thermo_destroy(t);
}
END_TEST

// Energy is twice the entropy of both layers, one of which tells its variance every other step
// only: the sum is taken only where it is whole.
START_TEST(entropy_of_some_layers_is_not_summed) {
    static const double sizes[] = {N, N};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes);
    for (int k = 0; k < 300; k++) {
        struct feed f;
        feed_clear(&f, k);
        f.step.loss = 2 * (500 * 1e-3 + 500 * 3e-3) * k;
        feed_set(&f, STAT_W_VAR, 0, exp(1e-3 * k));
        feed_set(&f, STAT_W_VAR, 1, k % 2 ? num_missing() : exp(3e-3 * k));
        thermo_observe(t, &f.step);
    }
    expect_value(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL, 2, 0.02);
    expect_value(t, THERMO_GLOBAL, METRIC_TRANSITION, 2 * 299.0 / 298, 1e-9);
    thermo_destroy(t);
}
END_TEST

// One value is enough for a reading; an interval takes four blocks of steps.
START_TEST(readings_from_the_first_step) {
    struct thermo *t = create_sgd(0.9);
    for (int k = 0; k < 8; k++) {
        observe_healthy(t, k, k + 1);
        struct reading r = feed_read(t, 0, METRIC_KINETIC);
        ck_assert(r.reason == NULL);
        ck_assert(r.has_interval == (k >= 3));
        ck_assert((r.no_interval == NULL) == (k >= 3));
        ck_assert(!r.has_interval || (r.low <= r.value && r.value <= r.high));
    }
    thermo_destroy(t);
}
END_TEST

static struct thermo *run_pair(double loss_scale, bool swapped, bool constant) {
    static const double sizes[][2] = {{300, 700}, {700, 300}};
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes[swapped]);
    struct dice dice = {9};
    struct feed f;
    for (int k = 0; k < 350; k++) {
        feed_clear(&f, k);
        f.step.loss = loss_scale * (2 - k * 1e-3 + 0.01 * dice_normal(&dice) * !constant);
        for (size_t i = 0; i < 2; i++) {
            size_t l = swapped ? 1 - i : i;
            double noise = constant ? 1 : 1 + dice_uniform(&dice);
            // Gradients scale with the loss; with the learning rate shrunk by it the steps are the
            // same.
            feed_weights(&f, l, 0.01 + (double)i * 0.02 + k * 1e-6);
            feed_gradient(&f, l, loss_scale * loss_scale * noise);
            feed_update(&f, l, 1e-4 * noise * (double)(i + 1));
            feed_set(&f, STAT_GW, l, loss_scale * noise);
            feed_set(&f, STAT_GU, l, -loss_scale * noise);
        }
        f.step.lr = 0.1 / loss_scale;
        thermo_observe(t, &f.step);
    }
    return t;
}

static void expect_ratio(double a, double b, double ratio) {
    ck_assert_msg(fabs(a - ratio * b) <= 1e-9 * fabs(a), "%.17g is not %g times %.17g", a, ratio,
                  b);
}

START_TEST(temperatures_scale_with_the_loss) {
    struct thermo *a = run_pair(1, false, false), *b = run_pair(8, false, false);
    const enum metric loss_units[] = {METRIC_TRANSITION,      METRIC_DIFFERENTIAL, METRIC_KINETIC,
                                      METRIC_CONFIGURATIONAL, METRIC_HEAT,         METRIC_ENERGY};
    const enum metric pure[] = {METRIC_STABILITY,   METRIC_COHERENCE, METRIC_DRIFT,
                                METRIC_EQUILIBRIUM, METRIC_ENTROPY,   METRIC_VELOCITY};
    const size_t layers[] = {0, 1, THERMO_GLOBAL};
    for (int l = 0; l < 3; l++) {
        for (int i = 0; i < 6; i++) {
            expect_ratio(thermo_value(b, layers[l], loss_units[i]),
                         thermo_value(a, layers[l], loss_units[i]), 8);
            expect_ratio(thermo_value(b, layers[l], pure[i]), thermo_value(a, layers[l], pure[i]),
                         1);
        }
    }
    thermo_destroy(a);
    thermo_destroy(b);
}
END_TEST

START_TEST(order_of_layers_does_not_matter) {
    struct thermo *a = run_pair(1, false, false), *b = run_pair(1, true, false);
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        double whole = thermo_value(a, THERMO_GLOBAL, m),
               swapped = thermo_value(b, THERMO_GLOBAL, m);
        ck_assert(same_bits(thermo_value(a, 0, m), thermo_value(b, 1, m)));
        ck_assert(same_bits(thermo_value(a, 1, m), thermo_value(b, 0, m)));
        ck_assert((num_is_missing(whole) && num_is_missing(swapped)) ||
                  fabs(whole - swapped) <= 1e-9 * fabs(whole));
    }
    thermo_destroy(a);
    thermo_destroy(b);
}
END_TEST

// The whole run of identical layers reads what one of them reads.
START_TEST(whole_of_equals) {
    static const double sizes[] = {100, 100, 100};
    struct thermo_facts facts = facts_adam(0.01);
    struct thermo *t = thermo_create(&facts, 3, sizes);
    struct dice dice = {4};
    for (int k = 0; k < 300; k++) {
        struct feed f;
        feed_clear(&f, k);
        double w2 = 1 + 0.01 * dice_normal(&dice), u2 = 1e-5 * (1 + dice_uniform(&dice));
        for (size_t l = 0; l < 3; l++) {
            feed_weights(&f, l, w2);
            feed_update(&f, l, u2);
        }
        thermo_observe(t, &f.step);
    }
    const enum metric same[] = {METRIC_KINETIC,   METRIC_VELOCITY,    METRIC_DRIFT,
                                METRIC_STABILITY, METRIC_EQUILIBRIUM, METRIC_UPDATE_RATIO};
    for (int i = 0; i < 6; i++) {
        expect_ratio(thermo_value(t, THERMO_GLOBAL, same[i]), thermo_value(t, 1, same[i]), 1);
    }
    thermo_destroy(t);
}
END_TEST

START_TEST(constant_streams_have_no_width) {
    struct thermo *t = run_pair(1, false, true);
    const enum metric constant[] = {METRIC_KINETIC, METRIC_CONFIGURATIONAL, METRIC_VELOCITY,
                                    METRIC_STABILITY, METRIC_COHERENCE};
    for (int i = 0; i < 5; i++) {
        struct reading r = feed_read(t, 0, constant[i]);
        ck_assert(r.has_interval);
        ck_assert_double_le(r.high - r.low, 1e-10 * fabs(r.value));
    }
    thermo_destroy(t);
}
END_TEST

// A hostile step of three layers: anything may be missing or not finite, steps are skipped.
static void feed_wild(struct feed *f, struct dice *dice, int64_t step) {
    static const double bad[] = {
        ((double)NAN), ((double)INFINITY), -((double)INFINITY), 1e300, 0, -1, 5e-324};
    feed_clear(f, step);
    f->step.loss = 1 + dice_normal(dice);
    f->step.lr = 0.1 * dice_uniform(dice);
    for (enum statistic id = 1; id < STAT_COUNT; id++) {
        if (dice_chance(dice, 0.05)) {
            continue;
        }
        for (size_t l = 0; l < 3; l++) {
            double x = dice_chance(dice, 0.5) ? dice_uniform(dice) : dice_normal(dice);
            x = dice_chance(dice, 0.03) ? num_missing() : x;
            x = dice_chance(dice, 0.004) ? bad[(int)(dice_uniform(dice) * 7)] : x;
            feed_set(f, id, l, x);
        }
    }
    f->step.loss = dice_chance(dice, 0.02) ? bad[(int)(dice_uniform(dice) * 7)] : f->step.loss;
    f->step.lr = dice_chance(dice, 0.05) ? bad[(int)(dice_uniform(dice) * 7)] : f->step.lr;
    f->step.batch_size = dice_chance(dice, 0.1) ? num_missing() : 16;
}

static struct thermo_facts wild_facts(struct dice *dice) {
    struct thermo_facts f = facts_sgd(0, 0.1);
    static const double memory[] = {0, 0.5, 0.9, 1, -1, 2, ((double)NAN)};
    f.optimizer = (enum optimizer)(int)(dice_uniform(dice) * 4);
    f.nesterov = dice_chance(dice, 0.2);
    f.momentum = memory[(int)(dice_uniform(dice) * 7)];
    f.beta1 = memory[(int)(dice_uniform(dice) * 7)];
    f.weight_decay = dice_chance(dice, 0.5) ? 0.01 : 0;
    return f;
}

static void wild_step(struct thermo *t, struct dice *dice, int64_t *step) {
    struct feed f;
    if (dice_chance(dice, 0.01)) {
        thermo_begin_state(t);
    }
    if (dice_chance(dice, 0.005)) {
        struct thermo_facts facts = wild_facts(dice);
        thermo_begin_segment(t, &facts);
        *step -= 20;
    }
    *step += dice_chance(dice, 0.1) ? 3 : 1;
    feed_wild(&f, dice, *step);
    thermo_observe(t, &f.step);
}

// Intervals enclose their values and nothing that is not finite gets out, but for the upper end of
// a noise scale whose signal is not resolved.
static void expect_sane(const struct thermo *t) {
    struct reading r[METRIC_COUNT];
    for (size_t i = 0; i <= thermo_layers(t); i++) {
        thermo_read(t, i < thermo_layers(t) ? i : THERMO_GLOBAL, r);
        for (enum metric m = 0; m < METRIC_COUNT; m++) {
            bool bounded = m != METRIC_NOISE_SCALE || isfinite(r[m].high);
            if (r[m].reason) {
                ck_assert((!r[m].has_interval || !bounded) && num_is_missing(r[m].value));
                continue;
            }
            ck_assert_msg(isfinite(r[m].value), "%s", metric_name(m));
            ck_assert(r[m].has_interval == (r[m].no_interval == NULL));
            ck_assert(!r[m].has_interval ||
                      (isfinite(r[m].low) && (isfinite(r[m].high) || !bounded)));
            ck_assert_msg(!r[m].has_interval || (r[m].low <= r[m].value && r[m].value <= r[m].high),
                          "%s: %.17g %.17g %.17g", metric_name(m), r[m].low, r[m].value, r[m].high);
        }
    }
}

START_TEST(saved_and_loaded_in_the_middle) {
    static const double sizes[] = {5, 100, 10000};
    struct dice dice = {(uint64_t)_i + 100};
    struct thermo_facts facts = wild_facts(&dice), other = facts_sgd(0.5, 0.3);
    struct thermo *whole = thermo_create(&facts, 3, sizes);
    int64_t step = 0;
    int until = (int)(dice_uniform(&dice) * 600);
    for (int k = 0; k < until; k++) {
        wild_step(whole, &dice, &step);
        if (k % 50 == 0) {
            expect_sane(whole);
        }
    }
    size_t n = thermo_saved_size(whole);
    unsigned char *bytes = malloc(n), *again = malloc(n);
    thermo_save(whole, bytes);
    struct thermo *resumed = thermo_create(&other, 3, sizes); // facts come from the bytes too
    ck_assert(thermo_load(resumed, bytes, n));
    struct dice copy = dice;
    int64_t step_copy = step;
    for (int k = 0; k < 300; k++) {
        expect_same_readings(whole, resumed);
        wild_step(whole, &dice, &step);
        wild_step(resumed, &copy, &step_copy);
    }
    expect_same_readings(whole, resumed);
    expect_sane(whole);
    ck_assert_int_eq(thermo_step_seen(whole), thermo_step_seen(resumed));
    ck_assert_uint_eq(thermo_state(whole), thermo_state(resumed));
    thermo_save(whole, bytes);
    thermo_save(resumed, again);
    ck_assert(memcmp(bytes, again, n) == 0);
    free(bytes);
    free(again);
    thermo_destroy(whole);
    thermo_destroy(resumed);
}
END_TEST

START_TEST(bytes_that_are_refused) {
    static const double other_sizes[] = {N + 1}, two_sizes[] = {N, N};
    struct thermo *t = create_sgd(0.9), *target = create_sgd(0.9);
    struct thermo_facts facts = facts_sgd(0.9, 0.1);
    struct thermo *other = thermo_create(&facts, 1, other_sizes);
    struct thermo *two = thermo_create(&facts, 2, two_sizes);
    observe_healthy(t, 0, 300);
    observe_healthy(target, 0, 20);
    double before = thermo_value(target, 0, METRIC_KINETIC);
    size_t n = thermo_saved_size(t);
    unsigned char *bytes = malloc(n + 1);
    thermo_save(t, bytes);
    ck_assert(!thermo_load(other, bytes, n));
    ck_assert(!thermo_load(two, bytes, n));
    for (size_t shorter = 0; shorter < n; shorter += 7) {
        unsigned char *piece = malloc(shorter + 1); // of its own, so that reading past it is seen
        memcpy(piece, bytes, shorter);
        ck_assert(!thermo_load(target, piece, shorter));
        free(piece);
    }
    ck_assert(!thermo_load(target, bytes, n + 1));
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0x10;
        ck_assert(!thermo_load(target, bytes, n));
        bytes[i] ^= 0x10;
    }
    ck_assert(same_bits(thermo_value(target, 0, METRIC_KINETIC), before));
    ck_assert(thermo_load(target, bytes, n));
    expect_same_readings(t, target);
    free(bytes);
    thermo_destroy(t);
    thermo_destroy(target);
    thermo_destroy(other);
    thermo_destroy(two);
}
END_TEST

static void expect_covered(const struct thermo *t, enum metric m, double truth, double relative) {
    struct reading r = feed_read(t, 0, m);
    ck_assert_msg(r.reason == NULL && r.has_interval, "%s", metric_name(m));
    ck_assert_msg(r.low <= truth && truth <= r.high, "%s: %g not in [%g, %g]", metric_name(m),
                  truth, r.low, r.high);
    ck_assert_msg(r.high - r.low <= relative * fabs(truth), "%s: [%g, %g] is too wide",
                  metric_name(m), r.low, r.high);
}

// The real thing: 400 coordinates of a noisy quadratic under SGD, run until stationary, streamed as
// a job would. The readings must hold the exact stationary temperatures within their own 95%
// intervals.
START_TEST(simulated_training) {
    enum { COORDINATES = 400 };
    double mu = _i ? 0.9 : 0, eta = 0.1, h = 1, w[COORDINATES], buffer[COORDINATES] = {0};
    double t_kin = _i ? 0.513513514 : 0.052631579, x = _i ? 0.026315789 : 0.05;
    double sizes[] = {COORDINATES}, u_prev[COORDINATES] = {0};
    struct thermo_facts facts = facts_sgd(mu, eta);
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct dice dice = {2024};
    for (int i = 0; i < COORDINATES; i++) {
        w[i] = sqrt(t_kin / h) * dice_normal(&dice); // it starts stationary, but for the buffer
    }
    for (int k = 0; k < 900; k++) {
        struct feed f;
        double w1 = 0, w2 = 0, g1 = 0, g2 = 0, u1 = 0, u2 = 0, gw = 0, gu = 0, gu_prev = 0;
        for (int i = 0; i < COORDINATES; i++) {
            double g = h * w[i] + dice_normal(&dice);
            buffer[i] = mu * buffer[i] + g;
            double u = -eta * buffer[i];
            w1 += w[i] / COORDINATES;
            w2 += w[i] * w[i] / COORDINATES;
            g1 += g / COORDINATES;
            g2 += g * g / COORDINATES;
            u1 += u / COORDINATES;
            u2 += u * u / COORDINATES;
            gw += g * w[i];
            gu += g * u;
            gu_prev += g * u_prev[i];
            u_prev[i] = u;
            w[i] += u;
        }
        feed_clear(&f, k);
        f.step.loss = h * w2 / 2;
        feed_set(&f, STAT_W_MEAN, 0, w1);
        feed_set(&f, STAT_W_VAR, 0, w2 - w1 * w1);
        feed_set(&f, STAT_G_MEAN, 0, g1);
        feed_set(&f, STAT_G_VAR, 0, g2 - g1 * g1);
        feed_set(&f, STAT_U_MEAN, 0, u1);
        feed_set(&f, STAT_U_VAR, 0, u2 - u1 * u1);
        feed_set(&f, STAT_GW, 0, gw);
        feed_set(&f, STAT_GU, 0, gu);
        feed_set(&f, STAT_GU_PREV, 0, gu_prev);
        feed_set(&f, STAT_G_NOISE, 0, 1);
        thermo_observe(t, &f.step);
    }
    expect_covered(t, METRIC_KINETIC, t_kin, 0.1);
    expect_covered(t, METRIC_CONFIGURATIONAL, t_kin, 0.4);
    expect_covered(t, METRIC_EQUILIBRIUM, 1, 0.3);
    struct reading drift = feed_read(t, 0, METRIC_DRIFT);
    ck_assert_msg(drift.low <= 0 && 0 <= drift.high && drift.high - drift.low < 0.1, "[%g, %g]",
                  drift.low, drift.high);
    struct reading stability = feed_read(t, 0, METRIC_STABILITY);
    ck_assert(stability.low <= x && x <= stability.high && stability.high - stability.low < 0.1);
    expect_value(t, 0, METRIC_NOISE, eta / (2 * (1 - mu)), 1e-10);
    thermo_destroy(t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_thermo");
    TCase *tc = tcase_create("properties");
    tcase_add_test(tc, segments_keep_the_origin);
    tcase_add_test(tc, states_begin_anew);
    tcase_add_test(tc, noise_of_single_losses);
    tcase_add_test(tc, noise_of_the_entropy);
    tcase_add_test(tc, noise_that_both_share);
    tcase_add_loop_test(tc, chords_of_short_passages, 0, 4);
    tcase_add_loop_test(tc, slope_among_noise, 0, 2);
    tcase_add_test(tc, slope_of_a_curve);
    tcase_add_test(tc, lasting_noise_is_indeterminate);
    tcase_add_test(tc, entropy_of_some_layers_is_not_summed);
    tcase_add_test(tc, readings_from_the_first_step);
    tcase_add_test(tc, temperatures_scale_with_the_loss);
    tcase_add_test(tc, order_of_layers_does_not_matter);
    tcase_add_test(tc, whole_of_equals);
    tcase_add_test(tc, constant_streams_have_no_width);
    tcase_add_loop_test(tc, saved_and_loaded_in_the_middle, 0, 20);
    tcase_add_test(tc, bytes_that_are_refused);
    tcase_add_loop_test(tc, simulated_training, 0, 2);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
