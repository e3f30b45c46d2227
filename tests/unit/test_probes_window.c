// The adaptive window: on simulated stationary runs every thermometer's 95% interval must hold the
// truth in 95% of repetitions, and the averages must sharpen with every step; after a change the
// window must be short at once.
#include "test_probes_feed.h"

#include "probes/moments.h"

// SGD or heavy ball on h w^2 / 2 with white gradient noise of variance s2, many coordinates, whose
// stationary moments are known exactly. Plain SGD with s2 = 2 T / eta is Langevin dynamics at T.
enum { COORDINATES_MAX = 128 };
struct training {
    double eta, h, s2, mu;
    int n;
    double w[COORDINATES_MAX], buffer[COORDINATES_MAX], update[COORDINATES_MAX];
    struct dice dice;
    double spare;
    bool has_spare;
};

static double draw(struct training *q) {
    if (q->has_spare) {
        q->has_spare = false;
        return q->spare;
    }
    double r = sqrt(-2 * log(dice_uniform(&q->dice))), angle = 2 * M_PI * dice_uniform(&q->dice);
    q->spare = r * sin(angle);
    q->has_spare = true;
    return r * cos(angle);
}

static double exact_temperature(const struct training *q) {
    return q->eta * q->s2 * (1 + q->mu) / ((1 - q->mu) * (2 * (1 + q->mu) - q->eta * q->h));
}

static double exact_stability(const struct training *q) {
    return q->eta * q->h / (2 * (1 + q->mu));
}

// Starts at rest with the stationary spread, then runs in.
static void training_begin(struct training *q, uint64_t seed) {
    struct dice seeds = {seed};
    q->dice = (struct dice){(uint64_t)(dice_uniform(&seeds) * 0x1p62)}; // streams far apart
    for (int i = 0; i < q->n; i++) {
        q->w[i] = sqrt(exact_temperature(q) / q->h) * draw(q);
        q->buffer[i] = q->update[i] = 0;
    }
}

static void training_step(struct training *q, struct thermo *t, int64_t step) {
    double w2 = 0, g2 = 0, u2 = 0, gw = 0, gu_prev = 0, noise = sqrt(q->s2);
    for (int i = 0; i < q->n; i++) {
        double g = q->h * q->w[i] + noise * draw(q);
        q->buffer[i] = q->mu * q->buffer[i] + g;
        double u = -q->eta * q->buffer[i];
        w2 += q->w[i] * q->w[i] / q->n;
        g2 += g * g / q->n;
        u2 += u * u / q->n;
        gw += g * q->w[i];
        gu_prev += g * q->update[i];
        q->update[i] = u;
        q->w[i] += u;
    }
    if (t) {
        struct feed f;
        feed_clear(&f, step);
        f.step.lr = q->eta;
        feed_weights(&f, 0, w2);
        feed_gradient(&f, 0, g2);
        feed_update(&f, 0, u2);
        feed_set(&f, STAT_GW, 0, gw);
        feed_set(&f, STAT_GU_PREV, 0, gu_prev);
        thermo_observe(t, &f.step);
    }
}

static struct thermo *training_watch(struct training *q, uint64_t seed, int run_in) {
    struct thermo_facts facts = facts_sgd(q->mu, q->eta);
    double sizes[] = {q->n};
    training_begin(q, seed);
    for (int k = 0; k < run_in; k++) {
        training_step(q, NULL, 0);
    }
    return thermo_create(&facts, 1, sizes);
}

static const struct training kinds[] = {
    {.eta = .1, .h = 1, .s2 = 1, .mu = 0, .n = 4},     // plain SGD, remembers some 10 steps
    {.eta = .1, .h = 1, .s2 = 1, .mu = .9, .n = 4},    // heavy ball, some 20
    {.eta = .1, .h = .01, .s2 = 1, .mu = .9, .n = 16}, // heavy ball, some 80
    {.eta = .1, .h = 2, .s2 = 6, .mu = 0, .n = 1},     // Langevin dynamics at T = 0.3
};

#define REPETITIONS 400

struct coverage {
    enum metric metric;
    int held, given;
    double width;
    struct moments value;
};

static void count_coverage(struct coverage *c, const struct thermo *t, double truth) {
    struct reading r = feed_read(t, 0, c->metric);
    ck_assert(r.reason == NULL);
    moments_add(&c->value, r.value / truth);
    if (r.has_interval) {
        c->given++;
        c->held += r.low <= truth && truth <= r.high;
        c->width += (r.high - r.low) / 2 / truth;
    }
}

// 95% within the binomial's own 2 standard errors around what is wanted, 93 to 97%.
static void expect_honest(const struct coverage *c, int kind) {
    double share = (double)c->held / REPETITIONS, slack = 2 * sqrt(0.95 * 0.05 / REPETITIONS);
    printf("kind %d: %-16s held %.2f%%, half width %.3f, bias %+.4f\n", kind,
           metric_name(c->metric), 100 * share, c->width / c->given, c->value.mean - 1);
    ck_assert_int_eq(c->given, REPETITIONS);
    ck_assert_msg(share >= 0.93 - slack && share <= 0.97 + slack, "%s of kind %d: %.2f%%",
                  metric_name(c->metric), kind, 100 * share);
}

START_TEST(intervals_are_honest) {
    struct coverage kinetic = {.metric = METRIC_KINETIC},
                    configurational = {.metric = METRIC_CONFIGURATIONAL},
                    stability = {.metric = METRIC_STABILITY},
                    equilibrium = {.metric = METRIC_EQUILIBRIUM};
    for (uint64_t seed = 1; seed <= REPETITIONS; seed++) {
        struct training q = kinds[_i];
        struct thermo *t = training_watch(&q, seed, 500);
        int64_t steps = 3000 + (int64_t)(seed % 8) * 300; // at every phase of the window's growth
        for (int64_t k = 0; k < steps; k++) {
            training_step(&q, t, k);
        }
        count_coverage(&kinetic, t, exact_temperature(&q));
        count_coverage(&configurational, t, exact_temperature(&q));
        count_coverage(&stability, t, exact_stability(&q));
        count_coverage(&equilibrium, t, 1);
        thermo_destroy(t);
    }
    expect_honest(&kinetic, _i);
    expect_honest(&configurational, _i);
    expect_honest(&stability, _i);
    expect_honest(&equilibrium, _i);
}
END_TEST

// A short memory, and one of some 20 steps: after 100,000 of them 2% is asked of everything.
START_TEST(long_runs_are_read_sharply) {
    static const struct training runs[] = {{.eta = .5, .h = 3, .s2 = 1, .mu = 0, .n = 128},
                                           {.eta = .1, .h = 1, .s2 = 1, .mu = .9, .n = 32}};
    struct training q = runs[_i];
    struct thermo *t = training_watch(&q, 5, 500);
    double temperature = exact_temperature(&q);
    for (int64_t k = 0; k < 100000; k++) {
        training_step(&q, t, k);
    }
    expect_value(t, 0, METRIC_KINETIC, temperature, 0.02 * temperature);
    expect_value(t, 0, METRIC_CONFIGURATIONAL, temperature, 0.02 * temperature);
    expect_value(t, 0, METRIC_EQUILIBRIUM, 1, 0.02);
    double velocity = temperature * q.eta / (1 + q.mu);
    expect_value(t, 0, METRIC_VELOCITY, velocity, 0.02 * velocity);
    struct reading r = feed_read(t, 0, METRIC_KINETIC);
    ck_assert_double_lt(r.high - r.low, 0.04 * temperature);
    // Stability looks back over 99 steps only, which is precise where coordinates are many.
    double tolerance = _i == 0 ? 0.02 : 0.6;
    expect_value(t, 0, METRIC_STABILITY, exact_stability(&q), tolerance * exact_stability(&q));
    thermo_destroy(t);
}
END_TEST

// Four times the noise, or a quarter, after a long rest.
START_TEST(changes_are_seen_at_once) {
    struct training q = {.eta = .1, .h = 1, .s2 = 1, .mu = _i & 1 ? .9 : 0, .n = 128};
    struct thermo *t = training_watch(&q, 9, 500);
    double factor = _i & 2 ? 0.25 : 4, before = exact_temperature(&q);
    for (int64_t k = 0; k < 20000; k++) {
        training_step(&q, t, k);
    }
    struct reading r = feed_read(t, 0, METRIC_KINETIC);
    ck_assert_double_lt(r.high - r.low, 0.05 * before); // the window has become long
    q.s2 *= factor;
    for (int64_t k = 20000; k < 20300; k++) {
        training_step(&q, t, k);
    }
    expect_value(t, 0, METRIC_KINETIC, factor * before, 0.1 * factor * before);
    expect_value(t, 0, METRIC_CONFIGURATIONAL, factor * before, 0.1 * factor * before);
    thermo_destroy(t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("probes_window");
    TCase *tc = tcase_create("simulated");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, intervals_are_honest, 0, sizeof kinds / sizeof *kinds);
    tcase_add_loop_test(tc, long_runs_are_read_sharply, 0, 2);
    tcase_add_loop_test(tc, changes_are_seen_at_once, 0, 4);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
