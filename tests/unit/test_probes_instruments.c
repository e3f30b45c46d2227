// Noise, noise scale, free energy, heat capacity, retention and the two laws, against closed forms.
#include "test_probes_feed.h"

#include "probes/instrument.h"

static const char *source_of(const struct thermo *t, size_t layer, enum metric m) {
    struct reading r = feed_read(t, layer, m);
    return r.source ? r.source : "";
}

// --- noise and noise scale ---

// Two sizes of batches: |g_1|^2 = 10 and |g_100|^2 = 1.09 are |G|^2 = 1 and tr Sigma_1 = 9.
START_TEST(noise_scale_of_two_batch_sizes) {
    struct thermo_facts facts = facts_sgd(0, 0.1);
    facts.batch_size = 100;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    for (int k = 0; k < 60; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, 1.09);
        feed_set(&f, STAT_G_SMALL_SQ, 0, 10);
        feed_set(&f, STAT_BATCH_SMALL, 0, 1);
        thermo_observe(t, &f.step);
        expect_value(t, 0, METRIC_NOISE_SCALE, 9, 1e-9);
        expect_value(t, THERMO_GLOBAL, METRIC_NOISE_SCALE, 9, 1e-9);
        expect_value(t, 0, METRIC_NOISE, 0.1 * 9 / (2 * 100), 1e-9);
    }
    ck_assert_str_eq(source_of(t, 0, METRIC_NOISE_SCALE), "g_small_sq");
    ck_assert_str_eq(source_of(t, THERMO_GLOBAL, METRIC_NOISE), "g_small_sq");
    struct reading r = feed_read(t, 0, METRIC_NOISE_SCALE);
    ck_assert(r.has_interval && r.high - r.low < 1e-6);
    thermo_destroy(t);
}
END_TEST

// The same ground truth from the variance over samples: <|g|^2> = |G|^2 + s^2 / B.
START_TEST(noise_scale_of_sample_variance) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 60; k++) {
        feed_clear(&f, k);
        f.step.batch_size = 100;
        feed_gradient(&f, 0, 1.09);
        feed_set(&f, STAT_G_NOISE, 0, 9);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_NOISE_SCALE, 9, 1e-9);
    ck_assert_str_eq(source_of(t, 0, METRIC_NOISE_SCALE), "g_noise");
    ck_assert_str_eq(source_of(t, 0, METRIC_NOISE), "g_noise");
    thermo_destroy(t);
}
END_TEST

// mu = 0.9, <|g|^2> = 10, <|buf|^2> = 147.368421: tr Sigma_B = 9, |G|^2 = 1.
START_TEST(momentum_splits_noise_from_signal) {
    double eta = 0.01, mu = 0.9;
    struct thermo_facts facts = facts_sgd(mu, eta);
    facts.batch_size = 32;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    for (int k = 0; k < 700; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, 10);
        feed_update(&f, 0, eta * eta * 147.368421053);
        thermo_observe(t, &f.step);
    }
    const size_t layers[] = {0, THERMO_GLOBAL};
    for (int i = 0; i < 2; i++) {
        expect_value(t, layers[i], METRIC_NOISE_SCALE, 32 * 9, 1e-6);
        // eta tr Sigma_B / (2 n (1 - mu)), with 9 a parameter.
        expect_value(t, layers[i], METRIC_NOISE, eta * 9 / (2 * (1 - mu)), 1e-9);
        ck_assert_str_eq(source_of(t, layers[i], METRIC_NOISE), "momentum");
        ck_assert_str_eq(source_of(t, layers[i], METRIC_NOISE_SCALE), "momentum");
    }
    thermo_destroy(t);
}
END_TEST

// At rest in a quadratic the gradient pulls back: no signal is left, and nominal = kinetic (1 - x)
// still finds the noise that was put in.
START_TEST(noise_of_stationary_quadratics) {
    static const struct {
        double eta, h, s2, mu, t_nom;
    } rows[] = {
        {.1, 1, 1, 0, .05}, {.1, 1, 1, .9, .5}, {.01, 2, 4, .9, .2}, {.5, 3, .25, .5, .125}};
    double eta = rows[_i].eta, h = rows[_i].h, mu = rows[_i].mu;
    double var = eta * rows[_i].s2 * (1 + mu) / (h * (1 - mu) * (2 * (1 + mu) - eta * h));
    struct thermo_facts facts = facts_sgd(mu, eta);
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    double g2 = h * h * var + rows[_i].s2;
    for (int k = 0; k < 300; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, g2);
        feed_update(&f, 0, eta * 2 * h * var / (1 + mu));
        feed_set(&f, STAT_GU_PREV, 0, N * eta * (eta * h / 2) * g2);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_NOISE, rows[_i].t_nom, 1e-9);
    expect_value(t, THERMO_GLOBAL, METRIC_NOISE, rows[_i].t_nom, 1e-9);
    expect_reason(t, 0, METRIC_NOISE_SCALE,
                  "signal unresolved: all of the gradient's square may be noise");
    ck_assert_str_eq(source_of(t, 0, METRIC_NOISE), mu > 0 ? "momentum" : "gu_prev");
    thermo_destroy(t);
}
END_TEST

// Plain SGD with a steady part: neighbouring gradients share it and nothing else.
START_TEST(neighbours_split_noise_from_signal) {
    double eta = 0.1, signal = 1, noise = 3;
    struct thermo_facts facts = facts_sgd(0, eta);
    facts.batch_size = 8;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    for (int k = 0; k < 100; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, signal + noise);
        feed_update(&f, 0, eta * eta * (signal + noise));
        feed_set(&f, STAT_GU_PREV, 0, -eta * N * signal);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_NOISE, eta * noise / 2, 1e-9);
    expect_value(t, 0, METRIC_NOISE_SCALE, 8 * noise / signal, 1e-9);
    ck_assert_str_eq(source_of(t, 0, METRIC_NOISE_SCALE), "gu_prev");
    thermo_destroy(t);
}
END_TEST

START_TEST(unresolved_signal_has_a_lower_bound) {
    struct thermo_facts facts = facts_sgd(0, 0.1);
    facts.batch_size = 4;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    struct dice d = {3};
    for (int k = 0; k < 400; k++) { // |G|^2 = 0: |g|^2 is noise / 4, with an error
        feed_clear(&f, k);
        feed_gradient(&f, 0, 0.25 - 0.0002 + 0.01 * dice_normal(&d));
        feed_set(&f, STAT_G_NOISE, 0, 1);
        thermo_observe(t, &f.step);
    }
    struct reading r = feed_read(t, 0, METRIC_NOISE_SCALE);
    ck_assert(r.has_interval && r.low > 100 && isinf(r.high));
    ck_assert(r.reason == NULL || strncmp(r.reason, "signal unresolved", 17) == 0);
    thermo_destroy(t);
}
END_TEST

// Smaller batches that are none, or tell of less than no noise.
START_TEST(noise_scale_without_noise) {
    struct thermo_facts facts = facts_sgd(0, 0.1);
    facts.batch_size = 8;
    struct thermo *t = thermo_create(&facts, 1, one_layer);
    struct feed f;
    for (int k = 0; k < 20; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, 2);
        feed_set(&f, STAT_G_SMALL_SQ, 0, 1.9);
        feed_set(&f, STAT_BATCH_SMALL, 0, k < 10 ? 8 : 1);
        thermo_observe(t, &f.step);
        if (k == 9) {
            expect_reason(t, 0, METRIC_NOISE_SCALE, "needs a batch_small below batch_size");
            expect_reason(t, 0, METRIC_NOISE, "needs a batch_small below batch_size");
        }
    }
    expect_reason(t, 0, METRIC_NOISE_SCALE,
                  "noise unresolved: small and large batches have gradients of one size");
    thermo_destroy(t);
}
END_TEST

// Random gradients of known signal and noise: the interval holds the truth about as often as it
// says.
START_TEST(noise_scale_intervals_hold) {
    int held = 0;
    enum { RUNS = 300, SIZE = 200, SMALL = 4, LARGE = 32 };
    struct dice d = {17};
    double sizes[] = {SIZE}, truth = 4 / 0.25;
    for (int i = 0; i < RUNS; i++) {
        struct thermo_facts facts = facts_sgd(0, 0.1);
        facts.batch_size = LARGE;
        struct thermo *t = thermo_create(&facts, 1, sizes);
        struct feed f;
        for (int k = 0; k < 250; k++) {
            double small = 0, large = 0;
            for (int j = 0; j < SIZE / 10; j++) { // twenty coordinates stand for all
                double mean = 0;
                for (int b = 0; b < LARGE / SMALL; b++) {
                    double g = 0.5 + 2 / sqrt(SMALL) * dice_normal(&d);
                    small += g * g / (LARGE / SMALL);
                    mean += g / (LARGE / SMALL);
                }
                large += mean * mean;
            }
            feed_clear(&f, k);
            feed_gradient(&f, 0, large / (SIZE / 10));
            feed_set(&f, STAT_G_SMALL_SQ, 0, small / (SIZE / 10));
            feed_set(&f, STAT_BATCH_SMALL, 0, SMALL);
            thermo_observe(t, &f.step);
        }
        struct reading r = feed_read(t, 0, METRIC_NOISE_SCALE);
        ck_assert(r.reason == NULL && r.has_interval);
        held += r.low <= truth && truth <= r.high;
        thermo_destroy(t);
    }
    ck_assert_msg(held >= 0.91 * RUNS && held <= 0.985 * RUNS, "held %d of %d", held, RUNS);
}
END_TEST

// --- free energy ---

START_TEST(free_energy_by_hand) {
    struct thermo *t = create_sgd(0.9);
    observe_healthy(t, 0, 100);
    const size_t layers[] = {0, THERMO_GLOBAL};
    for (int i = 0; i < 2; i++) {
        double e = thermo_value(t, layers[i], METRIC_ENERGY);
        double s = thermo_value(t, layers[i], METRIC_ENTROPY);
        double kinetic = thermo_value(t, layers[i], METRIC_KINETIC);
        expect_value(t, layers[i], METRIC_FREE_ENERGY, e - kinetic * s, 1e-9);
        ck_assert_str_eq(source_of(t, layers[i], METRIC_FREE_ENERGY), "kinetic");
        ck_assert(feed_read(t, layers[i], METRIC_FREE_ENERGY).has_interval);
    }
    thermo_destroy(t);
}
END_TEST

// With the kinetic temperature F is smallest where a quadratic is in equilibrium, var = T / h.
START_TEST(free_energy_is_least_in_equilibrium) {
    double h = 2, temperature = 0.1, eta = 0.01, least = HUGE_VAL, at = 0;
    for (double var = 0.02; var < 0.1; var += 0.001) {
        struct thermo_facts facts = facts_sgd(0, eta);
        struct thermo *t = thermo_create(&facts, 1, one_layer);
        struct feed f;
        for (int k = 0; k < 3; k++) {
            feed_clear(&f, k);
            f.step.loss = N * h * var / 2;
            feed_weights(&f, 0, var);
            feed_update(&f, 0, 2 * eta * temperature);
            thermo_observe(t, &f.step);
        }
        double free_energy = thermo_value(t, THERMO_GLOBAL, METRIC_FREE_ENERGY);
        at = free_energy < least ? var : at;
        least = fmin(least, free_energy);
        thermo_destroy(t);
    }
    ck_assert_double_eq_tol(at, temperature / h, 1e-3);
}
END_TEST

START_TEST(free_energy_without_updates) {
    struct thermo *t = create_sgd(0.9);
    struct feed f;
    for (int k = 0; k < 64; k++) { // E = 3 S + 1 on the way
        double var = 0.5 * exp(-0.01 * k);
        feed_clear(&f, k);
        f.step.loss = 3 * N / 2.0 * log(var) + 1;
        feed_weights(&f, 0, var);
        thermo_observe(t, &f.step);
    }
    double e = thermo_value(t, THERMO_GLOBAL, METRIC_ENERGY);
    double s = thermo_value(t, THERMO_GLOBAL, METRIC_ENTROPY);
    expect_value(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL, 3, 1e-6);
    expect_value(t, THERMO_GLOBAL, METRIC_FREE_ENERGY, e - 3 * s, 1e-2);
    ck_assert_str_eq(source_of(t, THERMO_GLOBAL, METRIC_FREE_ENERGY), "differential");
    expect_reason(t, 0, METRIC_FREE_ENERGY, "needs gu");
    thermo_destroy(t);
}
END_TEST

// --- heat capacity ---

// d coordinates of an Ornstein-Uhlenbeck process of this temperature, seen as a run: the loss is
// its energy, with the noise of a batch on top.
struct bath {
    struct dice dice;
    double w[16], kept, temperature, eta, batch_noise;
    int d;
};

static void bath_step(struct bath *b, struct feed *f, int64_t step) {
    double energy = 0;
    for (int i = 0; i < b->d; i++) {
        b->w[i] = b->kept * b->w[i] +
                  sqrt((1 - b->kept * b->kept) * b->temperature) * dice_normal(&b->dice);
        energy += b->w[i] * b->w[i] / 2;
    }
    feed_clear(f, step);
    f->step.lr = b->eta;
    f->step.loss = 3 + energy + b->batch_noise * dice_normal(&b->dice);
    feed_update(f, 0, 2 * b->eta * b->temperature); // kinetic = temperature
}

// Canonical quadratic of d = 4: C = 2, d_eff = 4, whatever the temperature and the batches' noise.
START_TEST(heat_capacity_by_fluctuation) {
    double sum = 0;
    int held = 0, read = 0;
    enum { RUNS = 100 };
    for (int i = 0; i < RUNS; i++) {
        struct thermo *t = create_sgd(0);
        struct feed f;
        struct bath b = {.dice = {(uint64_t)i + 1},
                         .kept = 0.97,
                         .temperature = 0.5,
                         .eta = 0.1,
                         .batch_noise = 0.5,
                         .d = 4};
        for (int k = 0; k < 12000; k++) {
            bath_step(&b, &f, k);
            thermo_observe(t, &f.step);
        }
        struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY);
        if (!r.reason) {
            ck_assert_str_eq(r.source, "fluctuation");
            ck_assert(r.has_interval);
            sum += r.value;
            held += r.low <= 2 && 2 <= r.high;
            read++;
        }
        thermo_destroy(t);
    }
    ck_assert_int_ge(read, 80);
    ck_assert_double_eq_tol(sum / read, 2, 0.15);
    ck_assert_msg(held >= 0.85 * read, "held %d of %d", held, read);
}
END_TEST

// What the run was before the window must not show, and a constant added to all losses neither: the
// window (steps heat up, so that it stays short) has left the high losses behind.
START_TEST(heat_capacity_forgets_what_the_window_has_left) {
    double value[3];
    for (int i = 0; i < 3; i++) {
        struct thermo *t = create_sgd(0);
        struct feed f;
        struct bath b = {.dice = {5}, .kept = 0.7, .temperature = 0.5, .eta = 0.1, .d = 4};
        for (int k = 0; k < 2000; k++) {
            bath_step(&b, &f, k);
            f.step.loss += (i == 1 && k < 500) ? 300 : i == 2 ? 1000 : 0;
            feed_update(&f, 0, 2 * b.eta * b.temperature * exp(2e-3 * k));
            thermo_observe(t, &f.step);
        }
        ck_assert_str_eq(source_of(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY), "fluctuation");
        value[i] = thermo_value(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY);
        thermo_destroy(t);
    }
    ck_assert_double_eq_tol(value[1] / value[0], 1, 1e-5);
    ck_assert_double_eq_tol(value[2] / value[0], 1, 1e-5);
}
END_TEST

// A drop of the learning rate to a quarter: the loss falls by C (T_1 - T_2).
START_TEST(heat_capacity_by_calorimetry) {
    struct thermo *t = create_sgd(0);
    struct feed f;
    struct bath b = {.dice = {9}, .kept = 0.3, .temperature = 0.5, .eta = 0.1, .d = 8};
    for (int k = 0; k < 6000; k++) {
        bath_step(&b, &f, k);
        thermo_observe(t, &f.step);
    }
    b.eta = 0.025;
    b.temperature = 0.125;
    int compared = 0;
    for (int k = 6000; k < 9000; k++) {
        bath_step(&b, &f, k);
        thermo_observe(t, &f.step);
        struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY);
        if (!r.reason && strcmp(r.source, "calorimetry") == 0) {
            ck_assert_int_ge(k, 6000 + 64 + 128 - 1);
            ck_assert_int_le(k, 6000 + 2048);
            compared++;
            ck_assert_double_eq_tol(r.value, 4, 1);
            ck_assert(r.has_interval && r.low < 4 && r.high > 4);
        }
    }
    ck_assert_int_ge(compared, 1000);
    thermo_destroy(t);
}
END_TEST

START_TEST(heat_capacity_takes_a_steady_loss) {
    struct thermo *t = create_sgd(0);
    struct feed f;
    for (int k = 0; k < 600; k++) {
        feed_healthy(&f, k);
        f.step.loss = 5 - 0.001 * k;
        f.step.stat[STAT_U_VAR] = k < 10 ? NULL : f.step.stat[STAT_U_VAR];
        thermo_observe(t, &f.step);
        if (k == 9) {
            expect_reason(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY, "needs u_var");
        }
    }
    expect_reason(t, THERMO_GLOBAL, METRIC_HEAT_CAPACITY,
                  "indeterminate: the loss has a trend, and a heat capacity takes a steady one");
    thermo_destroy(t);
}
END_TEST

// --- retention and the laws ---

// Every step takes 0.3 from its batch, and the loss falls by 0.2 of it a step.
static void feed_falling(struct feed *f, struct dice *d, int64_t step, double gu) {
    feed_clear(f, step);
    f->step.loss = 100 - 0.06 * (double)step + 0.05 * dice_normal(d);
    f->step.lr = 0.1;
    feed_weights(f, 0, 0.01 * exp(1e-4 * (double)step));
    feed_update(f, 0, 0.03 / N);
    feed_set(f, STAT_GU, 0, gu);
}

START_TEST(retention_and_first_law_of_a_falling_loss) {
    struct thermo *t = create_sgd(0);
    struct dice d = {4};
    struct feed f;
    for (int k = 0; k < 1000; k++) {
        feed_falling(&f, &d, k, -0.3);
        thermo_observe(t, &f.step);
    }
    expect_value(t, THERMO_GLOBAL, METRIC_RETENTION, 0.2, 0.002);
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_RETENTION);
    ck_assert(r.has_interval && r.low < 0.2 && r.high > 0.2 && r.high - r.low < 0.01);
    r = feed_read(t, THERMO_GLOBAL, METRIC_FIRST_LAW);
    ck_assert_double_eq_tol(r.value, 0.2, 0.01);
    ck_assert(r.has_interval && r.low < 0.2 && r.high > 0.2 && r.note == NULL);
    ck_assert_str_eq(r.source, "loss");
    // A rewind starts both anew.
    for (int k = 500; k < 600; k++) {
        feed_falling(&f, &d, k, -0.6);
        thermo_observe(t, &f.step);
    }
    expect_value(t, THERMO_GLOBAL, METRIC_RETENTION, 0.1, 0.01);
    thermo_destroy(t);
}
END_TEST

// What can be no state of a run is said to be broken.
START_TEST(first_law_tells_wrong_statistics) {
    static const struct {
        double gu;
        const char *note;
    } rows[] = {{-0.03, "broken: the loss changes by more"},
                {0.3, "broken: by gu the steps raise"}};
    struct thermo *t = create_sgd(0);
    struct dice d = {4};
    struct feed f;
    for (int k = 0; k < 400; k++) {
        feed_falling(&f, &d, k, rows[_i].gu);
        thermo_observe(t, &f.step);
    }
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_FIRST_LAW);
    ck_assert(r.reason == NULL && r.note != NULL);
    ck_assert_msg(strncmp(r.note, rows[_i].note, strlen(rows[_i].note)) == 0, "%s", r.note);
    thermo_destroy(t);
}
END_TEST

// Plain SGD on a quadratic of curvature h, the loss of the same batch before and after:
// 1 - eta h / 2 of the work shows.
START_TEST(first_law_of_the_same_batch) {
    double eta = 0.1, h = 3;
    const double factor[] = {1, 0.3, -1};
    const char *const notes[] = {NULL, "broken: the loss changes by more",
                                 "broken: the layers' work and the loss"};
    for (int i = 0; i < 3; i++) {
        struct thermo *t = create_sgd(0);
        struct feed f;
        struct dice d = {2};
        for (int k = 0; k < 300; k++) {
            double g2 = 2 + 0.2 * dice_normal(&d);
            feed_clear(&f, k);
            f.step.loss = 1 + 0.1 * dice_normal(&d);
            f.step.loss_after = f.step.loss - eta * g2 + eta * eta * h * g2 / 2;
            feed_set(&f, STAT_GU, 0, -eta * g2 * factor[i]);
            thermo_observe(t, &f.step);
        }
        struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_FIRST_LAW);
        ck_assert(r.reason == NULL && r.has_interval);
        ck_assert_double_eq_tol(r.value, (1 - eta * h / 2) / factor[i], 1e-9);
        ck_assert_str_eq(r.source, "loss_after");
        ck_assert((r.note == NULL) == (notes[i] == NULL));
        ck_assert(!notes[i] || strncmp(r.note, notes[i], strlen(notes[i])) == 0);
        thermo_destroy(t);
    }
}
END_TEST

// Plain SGD: the heat is |dw|^2 / eta a step and T = |dw|^2 / (2 n eta), so that 2 n nats a step go
// to the surroundings, and what the weights' own entropy changes by on top.
START_TEST(entropy_production_of_plain_sgd) {
    struct thermo *t = create_sgd(0);
    struct feed f;
    const double rate = 1e-3; // of the logarithm of the variance
    for (int k = 0; k < 400; k++) {
        feed_clear(&f, k);
        feed_weights(&f, 0, 0.1 * exp(-rate * k));
        feed_gradient(&f, 0, 2);
        feed_update(&f, 0, 0.02);
        thermo_observe(t, &f.step);
    }
    const size_t layers[] = {0, THERMO_GLOBAL};
    for (int i = 0; i < 2; i++) {
        expect_value(t, layers[i], METRIC_ENTROPY_PRODUCTION, 2 * N - N / 2.0 * rate, 1e-4);
        struct reading r = feed_read(t, layers[i], METRIC_ENTROPY_PRODUCTION);
        ck_assert(r.has_interval && r.note == NULL);
    }
    thermo_destroy(t);
}
END_TEST

START_TEST(second_law_tells_wrong_statistics) {
    for (int decays = 0; decays < 2; decays++) {
        struct thermo_facts facts = facts_sgd(0.9, 0.1);
        facts.weight_decay = decays ? 0.01 : 0;
        struct thermo *t = thermo_create(&facts, 1, one_layer);
        struct feed f;
        struct dice d = {8};
        for (int k = 0; k < 400; k++) {
            feed_clear(&f, k);
            feed_weights(&f, 0, 0.1 * exp(-1e-3 * k));
            feed_gradient(&f, 0, 2);
            feed_update(&f, 0, 0.02);
            feed_set(&f, STAT_GU, 0, 40 + dice_normal(&d)); // the sign is wrong
            thermo_observe(t, &f.step);
        }
        struct reading r = feed_read(t, 0, METRIC_ENTROPY_PRODUCTION);
        ck_assert(r.reason == NULL && r.has_interval && r.high < 0);
        ck_assert(decays ? r.note == NULL : strncmp(r.note, "broken: entropy", 15) == 0);
        thermo_destroy(t);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_instruments");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, noise_scale_of_two_batch_sizes);
    tcase_add_test(tc, noise_scale_of_sample_variance);
    tcase_add_test(tc, momentum_splits_noise_from_signal);
    tcase_add_loop_test(tc, noise_of_stationary_quadratics, 0, 4);
    tcase_add_test(tc, neighbours_split_noise_from_signal);
    tcase_add_test(tc, unresolved_signal_has_a_lower_bound);
    tcase_add_test(tc, noise_scale_without_noise);
    tcase_add_test(tc, noise_scale_intervals_hold);
    tcase_add_test(tc, free_energy_by_hand);
    tcase_add_test(tc, free_energy_is_least_in_equilibrium);
    tcase_add_test(tc, free_energy_without_updates);
    tcase_add_test(tc, heat_capacity_by_fluctuation);
    tcase_add_test(tc, heat_capacity_forgets_what_the_window_has_left);
    tcase_add_test(tc, heat_capacity_by_calorimetry);
    tcase_add_test(tc, heat_capacity_takes_a_steady_loss);
    tcase_add_test(tc, retention_and_first_law_of_a_falling_loss);
    tcase_add_loop_test(tc, first_law_tells_wrong_statistics, 0, 2);
    tcase_add_test(tc, first_law_of_the_same_batch);
    tcase_add_test(tc, entropy_production_of_plain_sgd);
    tcase_add_test(tc, second_law_tells_wrong_statistics);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
