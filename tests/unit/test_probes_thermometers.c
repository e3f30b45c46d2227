// Every thermometer against closed forms: constant streams of exact moments must be read to
// rounding, trajectories with a known answer must be read to the accuracy of their integration.
#include "test_probes_feed.h"

#include "probes/coherence.h"

// A row of the table of exact stationary moments of SGD on h w^2 / 2 with gradient noise s2.
struct quadratic {
    double eta, h, s2, mu;                           // what is run
    double var_w, t_conf, dw2, g2, t_nom, t_f, y, x; // what must come out
};

static const struct quadratic quadratics[] = {
    {.1, 1, 1, 0, 0.052631579, 0.052631579, 0.010526316, 1.052631579, 0.05, 0.005263158, 0, 0.05},
    {.1, 1, 1, .9, 0.513513514, 0.513513514, 0.054054054, 1.513513514, 0.5, 0.027027027, 0.1,
     0.026315789},
    {.01, 2, 4, 0, 0.010101010, 0.020202020, 0.000404040, 4.040404040, 0.02, 0.000202020, 0, 0.01},
    {.01, 2, 4, .9, 0.100529101, 0.201058201, 0.002116402, 4.402116402, 0.2, 0.001058201, 0.02,
     0.005263158},
    {.5, 3, .25, .5, 0.083333333, 0.25, 0.166666667, 1, 0.125, 0.083333333, 1.5, 0.5},
};
#define QUADRATICS (int)(sizeof quadratics / sizeof *quadratics)

struct exact {
    double var_w, dw2, g2, gw;
};

static struct exact exact_of(const struct quadratic *q) {
    double var =
        q->eta * q->s2 * (1 + q->mu) / (q->h * (1 - q->mu) * (2 * (1 + q->mu) - q->eta * q->h));
    return (struct exact){.var_w = var,
                          .dw2 = q->eta * 2 * q->h * var / (1 + q->mu),
                          .g2 = q->h * q->h * var + q->s2,
                          .gw = q->h * var};
}

// One step of the stationary state of n such coordinates.
static void feed_quadratic(struct feed *f, size_t layer, double n, const struct quadratic *q) {
    struct exact e = exact_of(q);
    feed_weights(f, layer, e.var_w);
    feed_gradient(f, layer, e.g2);
    feed_update(f, layer, e.dw2);
    feed_set(f, STAT_GW, layer, n * e.gw);
    feed_set(f, STAT_G_NOISE, layer, q->s2);
    if (q->mu <= 0) { // <g_k g_k-1> = -x <g^2> with x = eta h / 2
        feed_set(f, STAT_GU_PREV, layer, n * q->eta * (q->eta * q->h / 2) * e.g2);
    }
}

START_TEST(stationary_quadratics) {
    const struct quadratic *q = &quadratics[_i];
    struct thermo_facts facts = facts_sgd(q->mu, q->eta);
    double sizes[] = {1000};
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct feed f;
    for (int k = 0; k < 700; k++) {
        feed_clear(&f, k);
        feed_quadratic(&f, 0, sizes[0], q);
        thermo_observe(t, &f.step);
        if (k < 1 || (k > 1 && k < 699 && k % 37)) {
            continue;
        }
        const size_t layers[] = {0, THERMO_GLOBAL};
        for (int i = 0; i < 2; i++) {
            expect_value(t, layers[i], METRIC_KINETIC, q->t_conf, 1e-9);
            expect_value(t, layers[i], METRIC_CONFIGURATIONAL, q->t_conf, 1e-9);
            expect_value(t, layers[i], METRIC_VELOCITY, q->t_f, 1e-9);
            expect_value(t, layers[i], METRIC_NOISE, q->t_nom, 1e-9);
            expect_value(t, layers[i], METRIC_EQUILIBRIUM, 1, 1e-10);
            expect_value(t, layers[i], METRIC_STABILITY, q->x, 1e-9);
            expect_value(t, layers[i], METRIC_DRIFT, 0, 0);
            expect_value(t, layers[i], METRIC_UPDATE_RATIO, sqrt(q->dw2 / q->var_w), 1e-6);
            double mu = q->mu, ratio = 1 - mu * mu + mu * q->y;
            expect_value(t, layers[i], METRIC_COHERENCE,
                         mu > 0 ? (1 - mu) * (1 - mu) / ratio : -q->x, 1e-9);
        }
    }
    thermo_destroy(t);
}
END_TEST

// The identity that ties the temperatures to the edge of stability: nominal over measured is 1 - x.
START_TEST(temperatures_tell_stability) {
    static const struct quadratic q = {.eta = .1, .h = 10, .s2 = 1, .mu = .9};
    struct thermo_facts facts = facts_sgd(q.mu, q.eta);
    double sizes[] = {10};
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct feed f;
    for (int k = 0; k < 50; k++) {
        feed_clear(&f, k);
        feed_quadratic(&f, 0, sizes[0], &q);
        thermo_observe(t, &f.step);
    }
    double conf = thermo_value(t, 0, METRIC_CONFIGURATIONAL);
    double nominal = thermo_value(t, 0, METRIC_NOISE);
    expect_value(t, 0, METRIC_STABILITY, 0.263157895, 1e-9);
    expect_value(t, 0, METRIC_STABILITY, 1 - nominal / conf, 1e-10);
    thermo_destroy(t);
}
END_TEST

// Layers of one coordinate each: the whole run's y is the mean of theirs, weighted by their motion.
START_TEST(two_modes) {
    static const struct quadratic slow = {.eta = .1, .h = 1, .s2 = 1, .mu = .9};
    static const struct quadratic fast = {.eta = .1, .h = 10, .s2 = 1, .mu = .9};
    struct thermo_facts facts = facts_sgd(.9, .1);
    double sizes[] = {1, 1};
    struct thermo *t = thermo_create(&facts, 2, sizes);
    struct feed f;
    for (int k = 0; k < 300; k++) {
        feed_clear(&f, k);
        feed_quadratic(&f, 0, 1, &slow);
        feed_quadratic(&f, 1, 1, &fast);
        thermo_observe(t, &f.step);
    }
    expect_value(t, THERMO_GLOBAL, METRIC_STABILITY, 0.612307692 / 3.8, 1e-9);
    expect_value(t, 0, METRIC_STABILITY, 0.1 / 3.8, 1e-9);
    expect_value(t, 1, METRIC_STABILITY, 1 / 3.8, 1e-9);
    thermo_destroy(t);
}
END_TEST

static const double kappa_of_y[][2] = {{-.2, 1},         {0, 0.052631579}, {.1, 0.035714286},
                                       {1, 0.009174312}, {2, 0.005025126}, {3.8, 0.002770083}};

// Heavy ball and Adam read the same table: for Adam the moments are those of the normalised
// gradient.
START_TEST(coherence_of_curvature) {
    double y = kappa_of_y[_i][0], kappa = kappa_of_y[_i][1], mu = .9;
    double ratio = 1 - mu * mu + mu * y, eta = 0.01, sizes[] = {50};
    struct thermo_facts sgd = facts_sgd(mu, eta), adam = facts_adam(eta);
    struct thermo *a = thermo_create(&sgd, 1, sizes), *b = thermo_create(&adam, 1, sizes);
    struct feed f;
    for (int k = 0; k < 40; k++) {
        feed_clear(&f, k);
        feed_gradient(&f, 0, 3);
        feed_update(&f, 0, eta * eta * 3 / ratio);
        thermo_observe(a, &f.step);
        feed_update(&f, 0, eta * eta * (1 - mu) * (1 - mu) / ratio);
        thermo_observe(b, &f.step);
    }
    expect_value(a, 0, METRIC_COHERENCE, kappa, 1e-9);
    expect_value(a, 0, METRIC_STABILITY, y / 3.8, 1e-12);
    expect_value(b, 0, METRIC_COHERENCE, kappa, 1e-9);
    expect_value(b, 0, METRIC_STABILITY, y / 3.8, 1e-12);
    ck_assert_double_eq_tol(coherence_stability((1 - mu) * (1 - mu) / kappa, mu), y / 3.8, 1e-6);
    thermo_destroy(a);
    thermo_destroy(b);
}
END_TEST

enum signal { DRIFT, NOISE, OSCILLATION };

// A real optimizer on a real gradient signal, run in before it is watched. Adam's normalised
// gradient has RMS 1 by construction here.
static struct thermo *filtered(enum optimizer optimizer, bool nesterov, double mu,
                               enum signal signal, int steps) {
    struct thermo_facts facts = facts_sgd(mu, 0.1);
    facts.optimizer = optimizer;
    facts.nesterov = nesterov;
    facts.beta1 = mu;
    enum { COORDINATES = 200 };
    double sizes[] = {COORDINATES}, buffer[COORDINATES] = {0};
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct dice dice = {5};
    for (int k = 0; k < steps; k++) {
        double g2 = 0, u2 = 0;
        for (int i = 0; i < COORDINATES; i++) {
            double g = signal == NOISE ? dice_normal(&dice) : signal == DRIFT || k % 2 ? 1 : -1;
            bool adam = optimizer == OPTIMIZER_ADAM;
            buffer[i] = mu * buffer[i] + (adam ? (1 - mu) * g : g);
            double u = -0.1 * (nesterov ? g + mu * buffer[i] : buffer[i]);
            g2 += g * g / COORDINATES;
            u2 += u * u / COORDINATES;
        }
        if (k >= 600) {
            struct feed f;
            feed_clear(&f, k);
            feed_gradient(&f, 0, g2);
            feed_update(&f, 0, u2);
            thermo_observe(t, &f.step);
        }
    }
    return t;
}

START_TEST(anchors) {
    static const struct {
        enum optimizer optimizer;
        bool nesterov;
        double mu, kappa[3];
    } rows[] = {
        {OPTIMIZER_SGD, false, .9, {1, 0.0526316, 0.00277008}},
        {OPTIMIZER_SGD, false, .95, {1, 0.0256410, 0.000657462}},
        {OPTIMIZER_SGD, true, .9, {1, 0.0706316, 0.0217175}},
        {OPTIMIZER_ADAM, false, .9, {1, 0.0526316, 0.00277008}},
    };
    static const double x[] = {0, 0, 1}; // of drift below zero: checked apart
    for (enum signal s = DRIFT; s <= OSCILLATION; s++) {
        double mu = rows[_i].mu, kappa = rows[_i].kappa[s];
        struct thermo *t = filtered(rows[_i].optimizer, rows[_i].nesterov, mu, s, 1600);
        expect_value(t, 0, METRIC_COHERENCE, kappa, s == NOISE ? 0.05 * kappa : 5e-8);
        if (rows[_i].nesterov) {
            expect_reason(t, 0, METRIC_STABILITY,
                          "not defined for Nesterov momentum: see coherence");
        } else if (s == DRIFT) {
            expect_value(t, 0, METRIC_STABILITY, -(1 - mu) / (1 + mu), 1e-9);
        } else {
            expect_value(t, 0, METRIC_STABILITY, x[s], s == NOISE ? 0.01 : 1e-9);
        }
        thermo_destroy(t);
    }
}
END_TEST

START_TEST(plain_sgd_anchors) {
    double sizes[] = {10}, eta = 0.1;
    static const double lag[] = {1, 0, -1}; // the gradient's autocorrelation
    for (enum signal s = DRIFT; s <= OSCILLATION; s++) {
        struct thermo_facts facts = facts_sgd(0, eta);
        struct thermo *t = thermo_create(&facts, 1, sizes);
        struct feed f;
        for (int k = 0; k < 30; k++) {
            feed_clear(&f, k);
            feed_gradient(&f, 0, 2);
            feed_set(&f, STAT_GU_PREV, 0, -eta * lag[s] * 2 * sizes[0]);
            thermo_observe(t, &f.step);
        }
        expect_value(t, 0, METRIC_COHERENCE, lag[s], 1e-12);
        expect_value(t, 0, METRIC_STABILITY, -lag[s], 1e-12);
        thermo_destroy(t);
    }
}
END_TEST

// AdamW's rotational equilibrium on random gradients, where dw carries the decay: coherence must be
// that of white noise, (1 - b1) / (1 + b1), all the same.
START_TEST(adamw_equilibrium) {
    static const double rows[][4] = {// eta, then rms |w| and update ratio, exact
                                     {1e-3, 0.070678973, 0.003244505, 0},
                                     {3e-4, 0.038724621, 0.001777059, 0}};
    double eta = rows[_i][0], lam = .1, b = .9, sizes[] = {100};
    double p = (1 - b) / (1 + b), a = 1 - eta * lam, c = -b * eta * p / (1 - b * a);
    double w2 = (-2 * eta * a * c + eta * eta * p) / (1 - a * a);
    double u2 = eta * eta * p + 2 * eta * lam * eta * c + eta * eta * lam * lam * w2;
    struct thermo_facts facts = facts_adam(eta);
    facts.optimizer = OPTIMIZER_ADAMW;
    facts.weight_decay = lam;
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct feed f;
    for (int k = 0; k < 300; k++) {
        feed_clear(&f, k);
        feed_weights(&f, 0, w2);
        feed_update(&f, 0, u2);
        thermo_observe(t, &f.step);
    }
    ck_assert_double_eq_tol(sqrt(w2), rows[_i][1], 1e-9);
    expect_value(t, 0, METRIC_UPDATE_RATIO, rows[_i][2], 1e-9);
    expect_value(t, 0, METRIC_COHERENCE, 0.0526315789, 1e-9);
    expect_value(t, 0, METRIC_STABILITY, 0, 1e-9);
    expect_value(t, 0, METRIC_EQUILIBRIUM, 1, 0);
    thermo_destroy(t);
}
END_TEST

START_TEST(drift_of_four_weights) {
    static const double w[] = {1, .9, .8, .85}, u[] = {-.1, -.1, .05};
    struct thermo_facts facts = facts_adam(0.1);
    double sizes[] = {1};
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct feed f;
    for (int k = 0; k < 4; k++) {
        feed_clear(&f, k);
        feed_set(&f, STAT_W_MEAN, 0, w[k]);
        feed_set(&f, STAT_W_VAR, 0, 0);
        if (k < 3) {
            feed_set(&f, STAT_U_MEAN, 0, u[k]);
            feed_set(&f, STAT_U_VAR, 0, 0);
        }
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_DRIFT, -12.333333, 1e-6);
    expect_value(t, 0, METRIC_EQUILIBRIUM, 13.333333, 1e-6);
    expect_value(t, THERMO_GLOBAL, METRIC_DRIFT, -12.333333, 1e-6);
    thermo_destroy(t);
}
END_TEST

// A random walk in many dimensions: D is 1, however many of its steps are not sent.
START_TEST(drift_with_gaps) {
    double sizes[] = {100}, w2 = 1, u2 = 0.01;
    struct thermo_facts facts = facts_sgd(0, 0.1);
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct feed f;
    for (int k = 0; k < 400; k++) {
        if (k % 10 == 0 || (k > 200 && k % 3 == 0)) {
            feed_clear(&f, k);
            feed_weights(&f, 0, w2);
            feed_update(&f, 0, u2);
            thermo_observe(t, &f.step);
        }
        w2 += u2;
    }
    expect_value(t, 0, METRIC_DRIFT, 1, 1e-9);
    thermo_destroy(t);
}
END_TEST

// The variance that gives a normal of n parameters this entropy more than variance 1 does.
static double variance_of(double n, double entropy) {
    return exp(2 * entropy / n);
}

static void feed_state(struct thermo *t, int64_t step, double loss, double variance) {
    struct feed f;
    feed_clear(&f, step);
    f.step.loss = loss;
    feed_set(&f, STAT_W_VAR, 0, variance);
    thermo_observe(t, &f.step);
}

// From the initialised to the trained state of linear regressions with known energies and
// entropies, and between the Boltzmann states of 20 oscillators, where the chord is the logarithmic
// mean temperature.
START_TEST(transition_chords) {
    static const double rows[][5] = {
        // E_I, E_II, S_I, S_II, T
        {27, 0.45, 2.837877066409, 1.234650413975, 16.560353434543},
        {24, 0.45, 1.386294361120, 1.234650413975, 155.297988764595},
        {27, 0.45, 2.837877066409 + 2 * 6.907755278982137, 0, 1.594270222903},
        {24, 0.45, 1.386294361120 + 2 * 6.907755278982137, 0, 1.549158150980},
        {20, 10, 6.931471805599453, 0, 1.442695040889},
        {5, 0.5, 10 * 2.302585092994046, 0, 0.195432516857},
    };
    double e1 = rows[_i][0], e2 = rows[_i][1], s1 = rows[_i][2], s2 = rows[_i][3];
    double sizes[] = {20};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 1, sizes);
    feed_state(t, 0, e1, variance_of(20, s1));
    feed_state(t, 1, (e1 + e2) / 3, variance_of(20, (s1 + s2) / 3)); // the way does not matter
    feed_state(t, 2, e2, variance_of(20, s2));
    expect_value(t, THERMO_GLOBAL, METRIC_TRANSITION, rows[_i][4], rows[_i][4] * 2e-10);
    // The layer sends no work: it answers with the whole run's energy.
    expect_value(t, 0, METRIC_TRANSITION, rows[_i][4], rows[_i][4] * 2e-10);
    expect_value(t, THERMO_GLOBAL, METRIC_ENERGY, e2, 0);
    expect_value(t, 0, METRIC_ENTROPY, 20 * 1.418938533204673 + s2, 1e-9);
    thermo_destroy(t);
}
END_TEST

// Gradient flow on E = 1/2 (w - w*)' A (w - w*), A = diag(1, 4), integrated by small Euler steps:
// two layers of 1000 equal coordinates, so energy and entropy are 1000 times one pair's and T is
// the same.
START_TEST(gradient_flow) {
    static const double a[] = {1, 4};
    double var[] = {0.5, 0.25}, delta[] = {0.3, -0.2}, dt = 1e-6, n = 1000, sizes[] = {1000, 1000};
    struct thermo_facts facts = facts_sgd(0, dt);
    struct thermo *t = thermo_create(&facts, 2, sizes);
    for (int k = 0; k < 30; k++) {
        struct feed f;
        feed_clear(&f, k);
        f.step.loss = 0;
        for (size_t l = 0; l < 2; l++) {
            f.step.loss += n * a[l] * (var[l] + delta[l] * delta[l]) / 2;
            feed_set(&f, STAT_W_VAR, l, var[l]);
            feed_gradient(&f, l, a[l] * a[l] * (var[l] + delta[l] * delta[l]));
            var[l] *= (1 - dt * a[l]) * (1 - dt * a[l]);
            delta[l] *= 1 - dt * a[l];
        }
        thermo_observe(t, &f.step);
        if (k == 0) {
            expect_value(t, THERMO_GLOBAL, METRIC_ENERGY, 0.875 * n, 1e-9);

            expect_value(t, THERMO_GLOBAL, METRIC_ENTROPY, 1.798156295569 * n, 1e-8);
        }
    }
    expect_value(t, THERMO_GLOBAL, METRIC_TRANSITION, 1.046, 2e-4);
    expect_value(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL, 1.046, 2e-4);
    // A layer's own: a (var + delta^2), by the work that plain SGD's gradient tells.
    expect_value(t, 0, METRIC_TRANSITION, 0.59, 1e-4);
    expect_value(t, 1, METRIC_TRANSITION, 4 * 0.29, 3e-4);
    expect_value(t, 0, METRIC_DIFFERENTIAL, 0.59, 1e-4);
    expect_value(t, 1, METRIC_DIFFERENTIAL, 4 * 0.29, 3e-4);
    struct reading layer = feed_read(t, 1, METRIC_DIFFERENTIAL);
    ck_assert(!layer.has_interval && strncmp(layer.no_interval, "indeterminate", 13) == 0);
    expect_value(t, THERMO_GLOBAL, METRIC_QUADRANT, QUADRANT_CONDENSING, 0);
    thermo_destroy(t);
}
END_TEST

// dE/dS of a Boltzmann family is its temperature, exactly, at every point of a slow cooling.
START_TEST(boltzmann_cooling) {
    double n = 100, sizes[] = {100}, temperature = 2;
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 1, sizes);
    for (int k = 0; k < 200; k++) {
        feed_state(t, k, n * temperature / 2, temperature);
        temperature *= 1 - 1e-6;
    }
    expect_value(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL, temperature, 1e-3);
    struct reading r = feed_read(t, THERMO_GLOBAL, METRIC_DIFFERENTIAL);
    ck_assert(r.has_interval && r.low <= r.value && r.high >= r.value);
    ck_assert_double_lt(r.high - r.low, 1e-3);
    thermo_destroy(t);
}
END_TEST

START_TEST(heat_and_energy_by_hand) {
    double sizes[] = {10, 10};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes);
    static const double gu[] = {-1, -0.5, -0.25}, var[] = {1, 0.9, 0.8};
    for (int k = 0; k < 3; k++) {
        struct feed f;
        feed_clear(&f, k);
        feed_set(&f, STAT_GU, 0, gu[k]);
        feed_set(&f, STAT_GU, 1, 2 * gu[k]);
        feed_set(&f, STAT_W_VAR, 0, var[k]);
        feed_set(&f, STAT_W_VAR, 1, var[k]);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_HEAT, 1.75, 0);
    expect_value(t, 0, METRIC_ENERGY, -1.5, 0); // up to the newest state, before its own step
    expect_value(t, THERMO_GLOBAL, METRIC_HEAT, 5.25, 0);
    expect_value(t, 0, METRIC_TRANSITION, -1.5 / (5 * log(0.8)), 1e-12);
    expect_value(t, 1, METRIC_TRANSITION, -3 / (5 * log(0.8)), 1e-12);
    thermo_begin_state(t);
    expect_reason(t, 0, METRIC_HEAT, "no step yet");
    struct feed f;
    feed_clear(&f, 3);
    feed_set(&f, STAT_GU, 0, -0.125);
    thermo_observe(t, &f.step);
    expect_value(t, 0, METRIC_HEAT, 0.125, 0);
    ck_assert_uint_eq(thermo_state(t), 1);
    thermo_destroy(t);
}
END_TEST

START_TEST(activations) {
    double sizes[] = {10, 10};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes);
    for (int k = 0; k < 5; k++) {
        struct feed f;
        feed_clear(&f, k);
        feed_square(&f, STAT_Z_MEAN, STAT_Z_VAR, 0, 1);
        feed_set(&f, STAT_A_MEAN, 0, 0.398942); // ReLU on a unit normal
        feed_set(&f, STAT_A_VAR, 0, 0.340845);
        feed_square(&f, STAT_Z_MEAN, STAT_Z_VAR, 1, 0);
        feed_square(&f, STAT_A_MEAN, STAT_A_VAR, 1, 0);
        thermo_observe(t, &f.step);
    }
    expect_value(t, 0, METRIC_EFFICIENCY, 0.5, 1e-6);
    expect_reason(t, 1, METRIC_EFFICIENCY, "undefined: the activation's input is zero");
    expect_reason(t, THERMO_GLOBAL, METRIC_EFFICIENCY, "measured layer by layer");
    thermo_destroy(t);
}
END_TEST

// dE and dS of either sign, with noise on the loss: the quadrant is declared only when it is
// significant.
START_TEST(quadrants) {
    static const struct {
        double de, ds;
        enum quadrant q;
    } rows[] = {{-1, -1, QUADRANT_CONDENSING}, {-1, 1, QUADRANT_SPONTANEOUS},
                {1, 1, QUADRANT_HEATING},      {1, -1, QUADRANT_QUENCHING},
                {0, 1, QUADRANT_QUASI_STATIC}, {1, 0, QUADRANT_QUASI_STATIC}};
    double sizes[] = {100};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 1, sizes);
    struct dice dice = {2};
    for (int k = 0; k < 288; k++) {
        feed_state(t, k, 1 + rows[_i].de * k * 1e-3 + 0.05 * dice_normal(&dice),
                   variance_of(100, rows[_i].ds * k * 1e-2));
    }
    expect_value(t, THERMO_GLOBAL, METRIC_QUADRANT, rows[_i].q, 0);
    thermo_destroy(t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_thermometers");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, stationary_quadratics, 0, QUADRATICS);
    tcase_add_test(tc, temperatures_tell_stability);
    tcase_add_test(tc, two_modes);
    tcase_add_loop_test(tc, coherence_of_curvature, 0, 6);
    tcase_add_loop_test(tc, anchors, 0, 4);
    tcase_add_test(tc, plain_sgd_anchors);
    tcase_add_loop_test(tc, adamw_equilibrium, 0, 2);
    tcase_add_test(tc, drift_of_four_weights);
    tcase_add_test(tc, drift_with_gaps);
    tcase_add_loop_test(tc, transition_chords, 0, 6);
    tcase_add_test(tc, gradient_flow);
    tcase_add_test(tc, boltzmann_cooling);
    tcase_add_test(tc, heat_and_energy_by_hand);
    tcase_add_test(tc, activations);
    tcase_add_loop_test(tc, quadrants, 0, 6);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
