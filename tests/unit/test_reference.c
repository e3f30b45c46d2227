// Transitions of linear models, against worked examples, integrals by other means (mpmath), brute
// force over all vertices, and data that cannot be computed with.
#include "probes/quadrature.h"
#include "probes/reference.h"
#include "base/num.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOT_A_NUMBER ((double)NAN)
#define NEAR(x, y, tolerance) ck_assert_double_eq_tol((x), (y), (tolerance))

// Four rows: an intercept and a slope; b = (0.7, 2.2), RSS = 1.8, tr X'X = 18, det X'X = 20.
static const double four_x[] = {1, 0, 1, 1, 1, 2, 1, 3};
static const double four_y[] = {1, 3, 4, 8};
static const double labels[] = {0, 1, 0, 1};

static struct reference_init normal(double mean, double deviation) {
    return (struct reference_init){.count = 1, .parts = {{REFERENCE_NORMAL, 1, mean, deviation}}};
}

static struct reference_init flat(double low, double high) {
    return (struct reference_init){.count = 1, .parts = {{REFERENCE_UNIFORM, 1, low, high}}};
}

static struct reference_init mixed(enum reference_mixing mixing, double share_normal,
                                   double deviation, double share_uniform, double half) {
    return (struct reference_init){.mixing = mixing,
                                   .count = 2,
                                   .parts = {{REFERENCE_NORMAL, share_normal, 0, deviation},
                                             {REFERENCE_UNIFORM, share_uniform, -half, half}}};
}

static struct reference_problem four(enum reference_loss loss, struct reference_init init) {
    bool classes = loss == REFERENCE_CROSS_ENTROPY;
    return (struct reference_problem){
        .loss = loss, .init = init, .data = {four_x, classes ? labels : four_y, 4, 2}};
}

static struct reference_result solve(struct reference_problem p) {
    struct reference_result r;
    struct linear_error error;
    ck_assert_msg(reference_solve(&p, &r, &error), "%s", error.text);
    const struct reference_figure *all[] = {&r.energy[0],  &r.energy[1],   &r.entropy[0],
                                            &r.entropy[1], &r.temperature, &r.asymptotic};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert(all[i]->unit && all[i]->source);
        ck_assert(all[i]->reason ? num_is_missing(all[i]->value) : isfinite(all[i]->value));
    }
    return r;
}

static void expect_error(struct reference_problem p, const char *part) {
    struct reference_result r;
    struct linear_error error;
    ck_assert(!reference_solve(&p, &r, &error));
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' does not say '%s'", error.text, part);
}

static double power(const void *exponent, double x) {
    return pow(x, *(const double *)exponent);
}

START_TEST(quadrature) {
    for (double k = 0; k <= 31; k++) {
        double exact = (pow(3, k + 1) - pow(-1, k + 1)) / (k + 1);
        NEAR(quadrature_panel(power, &k, -1, 3) / exact, 1, 1e-13);
    }
    double breaks[9] = {5, 2, NOT_A_NUMBER, 2, -1, HUGE_VAL, 3};
    ck_assert_uint_eq(quadrature_breaks(breaks, 7, 0, 4), 4);
    ck_assert(breaks[0] == 0 && breaks[1] == 2 && breaks[2] == 3 && breaks[3] == 4);
}
END_TEST

// --- entropies of initialisations ---

static double entropy(struct reference_init init, double n) {
    double s = NOT_A_NUMBER;
    const char *reason;
    ck_assert(reference_init_check(&init) == NULL);
    ck_assert(reference_init_entropy(&init, n, &s, &reason));
    return s;
}

START_TEST(entropies) {
    NEAR(entropy(normal(3, 1), 1), 1.418938533205, 1e-12);
    NEAR(entropy(normal(0, 0.02), 1000), -2493.084472223473, 1e-9);
    NEAR(entropy(flat(-0.1, 0.1), 1000), -1609.437912434100, 1e-9);
    NEAR(entropy(normal(0, sqrt(2.0 / 512)), 1), -1.353650189035, 1e-12);
    double xavier = sqrt(6.0 / 384);
    NEAR(entropy(flat(-xavier, xavier), 1), -1.386294361120, 1e-12);
    NEAR(entropy(mixed(REFERENCE_MIXTURE, 0.5, 0.1, 0.5, 0.2), 1), -0.8510016354766012, 1e-12);
    NEAR(entropy(mixed(REFERENCE_MIXTURE, 2, 0.1, 2, 0.2), 10), -8.510016354766012, 1e-11);
    NEAR(entropy(mixed(REFERENCE_BLOCKS, 300, 0.1, 700, 0.2), 1000), -906.497480248720, 1e-9);
}
END_TEST

START_TEST(entropies_of_mixtures) {
    // Far apart: the mean entropy and that of the choice. A part twice: itself.
    struct reference_init far = {
        .count = 2, .parts = {{REFERENCE_NORMAL, 1, -50, 0.1}, {REFERENCE_NORMAL, 3, 50, 2}}};
    double choice = 0.25 * log(4) + 0.75 * log(4.0 / 3);
    double parts = 0.25 * entropy(normal(0, 0.1), 1) + 0.75 * entropy(normal(0, 2), 1);
    NEAR(entropy(far, 1), choice + parts, 1e-10);
    struct reference_init twice = {
        .count = 2, .parts = {{REFERENCE_NORMAL, 1, 7, 2}, {REFERENCE_NORMAL, 3, 7, 2}}};
    NEAR(entropy(twice, 1), entropy(normal(7, 2), 1), 1e-12);
    // Two uniforms side by side are one; nested ones by hand: heights 5/8 and 1/8 on (-1,1).
    struct reference_init side = {
        .count = 2, .parts = {{REFERENCE_UNIFORM, 1, 0, 1}, {REFERENCE_UNIFORM, 1, 1, 2}}};
    NEAR(entropy(side, 1), log(2), 1e-13);
    struct reference_init nested = {
        .count = 2, .parts = {{REFERENCE_UNIFORM, 1, -1, 1}, {REFERENCE_UNIFORM, 1, 0, 1}}};
    NEAR(entropy(nested, 1), -0.25 * log(0.25) - 0.75 * log(0.75), 1e-13);
    // A needle in a wide normal.
    struct reference_init needle = {
        .count = 2, .parts = {{REFERENCE_NORMAL, 1, 0, 1e-6}, {REFERENCE_NORMAL, 1, 0, 1}}};
    double apart = log(2) + (entropy(normal(0, 1e-6), 1) + entropy(normal(0, 1), 1)) / 2;
    NEAR(entropy(needle, 1), apart, 1e-4);
}
END_TEST

START_TEST(no_entropy) {
    struct reference_init constant = {.count = 1, .parts = {{REFERENCE_CONSTANT, 1, 0.5, 0}}};
    double s;
    const char *reason = NULL;
    ck_assert(reference_init_check(&constant) == NULL);
    ck_assert(!reference_init_entropy(&constant, 3, &s, &reason));
    ck_assert(strstr(reason, "constant") != NULL);
    struct reference_init blocks = mixed(REFERENCE_BLOCKS, 3, 1, 4, 1);
    ck_assert(!reference_init_entropy(&blocks, 8, &s, &reason));
    ck_assert(strstr(reason, "add up") != NULL);
    static const struct reference_part bad[] = {{REFERENCE_NORMAL, 1, 0, 0},
                                                {REFERENCE_NORMAL, 1, 0, -1},
                                                {REFERENCE_NORMAL, 1, NOT_A_NUMBER, 1},
                                                {REFERENCE_UNIFORM, 1, 1, 1},
                                                {REFERENCE_UNIFORM, 1, 1, -1},
                                                {REFERENCE_UNIFORM, 1, 0, HUGE_VAL},
                                                {REFERENCE_NORMAL, 0, 0, 1},
                                                {REFERENCE_NORMAL, -1, 0, 1},
                                                {REFERENCE_NORMAL, NOT_A_NUMBER, 0, 1},
                                                {REFERENCE_CONSTANT, 1, HUGE_VAL, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reference_init init = {.count = 1, .parts = {bad[i]}};
        ck_assert_msg(reference_init_check(&init) != NULL, "%zu", i);
    }
    struct reference_init none = {.count = 0};
    ck_assert(reference_init_check(&none) != NULL);
    blocks.parts[0].weight = 2.5;
    ck_assert(reference_init_check(&blocks) != NULL);
    blocks.mixing = REFERENCE_MIXTURE;
    blocks.parts[0].draw = REFERENCE_CONSTANT;
    ck_assert(reference_init_check(&blocks) != NULL);
}
END_TEST

// --- the worked example ---

START_TEST(mean_square) {
    struct reference_result r = solve(four(REFERENCE_MSE, normal(0, 1)));
    NEAR(r.energy[0].value, 27, 1e-12);
    NEAR(r.energy[1].value, 0.45, 1e-14);
    NEAR(r.entropy[0].value, 2.8378770664093453, 1e-13);
    NEAR(r.entropy[1].value, 1.2346504139745236, 1e-13);
    NEAR(r.temperature.value, 16.560353434543078, 1e-11);
    NEAR(r.fit.coefficients[0], 0.7, 1e-14);
    NEAR(r.fit.coefficients[1], 2.2, 1e-14);
    NEAR(r.fit.log_det, log(20), 1e-14);
    NEAR(r.asymptotic.value, 2 * 26.55 / (2 * log(4)), 1e-12);
    r = solve(four(REFERENCE_MSE, flat(-1, 1)));
    NEAR(r.energy[0].value, 24, 1e-12);
    NEAR(r.entropy[0].value, 1.3862943611198906, 1e-13);
    NEAR(r.temperature.value, 155.29798876459472, 1e-9);
}
END_TEST

START_TEST(quanta) {
    struct reference_problem p = four(REFERENCE_MSE, normal(0, 1));
    p.entropy = REFERENCE_QUANTUM;
    p.epsilon = 1e-3;
    struct reference_result r = solve(p);
    NEAR(r.temperature.value, 1.5942702229029886, 1e-12);
    NEAR(r.entropy[0].value, 2.8378770664093453 - 2 * log(1e-3), 1e-12);
    ck_assert_double_eq(r.entropy[1].value, 0);
    ck_assert(r.asymptotic.reason != NULL);
    p.init = flat(-1, 1);
    NEAR(solve(p).temperature.value, 1.5491581509795336, 1e-12);
    p.epsilon = 0;
    expect_error(p, "epsilon");
    p.epsilon = NOT_A_NUMBER;
    expect_error(p, "epsilon");
}
END_TEST

START_TEST(layers) {
    struct reference_problem p = four(REFERENCE_MSE, flat(-1, 1));
    p.entropy = REFERENCE_LAYER;
    struct reference_result r = solve(p);
    double before = log(2 * M_PI * M_E / 3), after = log(2 * M_PI * M_E * 0.75 * 0.75);
    NEAR(r.entropy[0].value, before, 1e-13);
    NEAR(r.entropy[1].value, after, 1e-13);
    NEAR(r.temperature.value, (24 - 0.45) / (before - after), 1e-11);
    ck_assert(r.temperature.value < 0 && r.note != NULL);
    // One weight alone has no variance.
    p.data.columns = 1;
    r = solve(p);
    ck_assert(r.entropy[1].reason != NULL && r.temperature.reason != NULL);
    // Blocks at different means: their scatter counts.
    struct reference_init blocks = {
        .mixing = REFERENCE_BLOCKS,
        .count = 2,
        .parts = {{REFERENCE_NORMAL, 1, -1, 1}, {REFERENCE_CONSTANT, 1, 3, 0}}};
    p.data.columns = 2;
    p.init = blocks;
    NEAR(solve(p).entropy[0].value, log(2 * M_PI * M_E * (0.5 + 4)), 1e-13);
}
END_TEST

START_TEST(absolute) {
    struct reference_result r = solve(four(REFERENCE_MAE, normal(0, 1)));
    NEAR(r.energy[0].value, 4.065271046876071, 1e-12);
    NEAR(r.energy[1].value, 0.5, 1e-15);
    NEAR(r.entropy[0].value, 2.8378770664093453, 1e-13);
    ck_assert(r.entropy[1].reason != NULL && r.temperature.reason == r.entropy[1].reason);
    NEAR(solve(four(REFERENCE_MAE, normal(0.5, 2))).energy[0].value, 3.9291508098069748, 1e-12);
    NEAR(solve(four(REFERENCE_MAE, flat(-1, 1))).energy[0].value, 4, 1e-12);
    NEAR(solve(four(REFERENCE_MAE, flat(-3, 3))).energy[0].value, 4.4232253086419753, 1e-9);
    struct reference_init mixture = mixed(REFERENCE_MIXTURE, 0.5, 1, 0.5, 1);
    NEAR(solve(four(REFERENCE_MAE, mixture)).energy[0].value, 4.0304135977159398, 1e-9);
    struct reference_problem p = four(REFERENCE_MAE, normal(0, 1));
    p.entropy = REFERENCE_QUANTUM;
    p.epsilon = 0.01;
    r = solve(p);
    NEAR(r.temperature.value, (4.065271046876071 - 0.5) / (2.8378770664093453 + 2 * log(100)),
         1e-12);
}
END_TEST

static double softplus_mean(double deviation) {
    static const double one = 1, none = 0;
    struct reference_problem p = {
        .loss = REFERENCE_CROSS_ENTROPY, .init = normal(0, deviation), .data = {&one, &none, 1, 1}};
    return reference_initial_energy(&p);
}

START_TEST(cross_entropy) {
    static const double oracle[][2] = {{0.1, 0.6943956232408094},
                                       {0.5, 0.723492801065976},
                                       {1, 0.8060591833474398},
                                       {2, 1.0677143880513833},
                                       {5, 2.1205474146828354}};
    for (size_t i = 0; i < sizeof oracle / sizeof *oracle; i++) {
        NEAR(softplus_mean(oracle[i][0]), oracle[i][1], 1e-10);
    }
    NEAR(softplus_mean(1e-4), M_LN2 + 1e-8 / 8, 1e-10);
    double s = 1e4, root = sqrt(2 * M_PI);
    NEAR(softplus_mean(s) / (s / root + M_PI * M_PI / (6 * s * root)), 1, 1e-10);
    static const double one = 1, none = 0;
    struct reference_problem single = {
        .loss = REFERENCE_CROSS_ENTROPY, .init = flat(-1, 1), .data = {&one, &none, 1, 1}};
    NEAR(reference_initial_energy(&single), 0.7338190370206611, 1e-10);
    struct reference_result r = solve(four(REFERENCE_CROSS_ENTROPY, normal(0.3, 1.5)));
    NEAR(r.energy[0].value, 1.3512605556315759, 1e-10);
    NEAR(r.energy[1].value, 0.58687163378033639, 1e-14);
    NEAR(r.fit.coefficients[0], -1.362276393840142624, 1e-8);
    NEAR(r.fit.coefficients[1], 0.9081842625600950831, 1e-8);
    NEAR(r.fit.log_det, -0.38703222238100776, 1e-7);
    NEAR(r.entropy[1].value, log(2 * M_PI * M_E) + 0.38703222238100776 / 2, 1e-7);
    ck_assert(r.note == NULL && r.temperature.reason == NULL);
}
END_TEST

START_TEST(separable_classes) {
    static const double apart[] = {0, 0, 1, 1}, touching_x[] = {1, 0, 1, 1, 1, 1, 1, 2};
    struct reference_problem p = four(REFERENCE_CROSS_ENTROPY, normal(0, 1));
    p.data.y = apart;
    struct reference_result r = solve(p);
    ck_assert_double_eq(r.energy[1].value, 0);
    ck_assert(r.note != NULL && r.entropy[1].reason != NULL && r.temperature.reason != NULL);
    // Two rows at the border, of either class, stay at ln 2.
    p.data.x = touching_x;
    static const double border[] = {0, 0, 1, 1};
    p.data.y = border;
    r = solve(p);
    NEAR(r.energy[1].value, M_LN2 / 2, 1e-9);
    ck_assert(strstr(r.note, "in part") != NULL && r.entropy[1].reason != NULL);
    // The quantum convention still has a temperature.
    p.entropy = REFERENCE_QUANTUM;
    p.epsilon = 1e-3;
    ck_assert(solve(p).temperature.value > 0);
    static const double soft[] = {0.2, 0.9, 0.4, 1};
    p.data.y = soft;
    ck_assert(solve(p).note == NULL);
    static const double wrong[] = {0, 1, 2, 1};
    p.data.y = wrong;
    expect_error(p, "from 0 to 1");
}
END_TEST

// --- fits ---

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

// The least mean |y - a - b x| over all lines through two rows.
static double best_line(const double *x, const double *y, size_t n) {
    double best = HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            double dx = x[2 * i + 1] - x[2 * j + 1], sum = 0;
            double b = dx != 0 ? (y[i] - y[j]) / dx : 0, a = y[i] - b * x[2 * i + 1];
            for (size_t k = 0; k < n; k++) {
                sum += fabs(y[k] - a - b * x[2 * k + 1]);
            }
            best = fmin(best, sum / (double)n);
        }
    }
    return best;
}

START_TEST(least_deviations_are_least) {
    enum { ROWS = 25 };
    double x[2 * ROWS], y[ROWS];
    uint64_t dice = 4;
    for (int round = 0; round < 300; round++) {
        bool coarse = round % 2; // whole numbers: many rows meet, many are the same
        for (int i = 0; i < ROWS; i++) {
            x[2 * i] = 1;
            x[2 * i + 1] = coarse ? floor(4 * uniform(&dice)) : uniform(&dice);
            y[i] = coarse ? floor(4 * uniform(&dice)) : 100 * pow(uniform(&dice), 9);
        }
        struct linear_data data = {x, y, ROWS, 2};
        struct linear_fit fit;
        struct linear_error error;
        ck_assert(linear_least_deviations(&data, &fit, &error));
        NEAR(fit.loss, best_line(x, y, ROWS), 1e-12 * (1 + fit.loss));
    }
}
END_TEST

// Optimality of many columns by the dual: signs of the residuals, orthogonal to every column but
// for what the fitted rows can take up (each at most 1).
START_TEST(many_columns) {
    enum { ROWS = 400, COLUMNS = 30 };
    static double x[ROWS * COLUMNS], y[ROWS];
    uint64_t dice = 8;
    for (int i = 0; i < ROWS; i++) {
        y[i] = 0;
        for (int j = 0; j < COLUMNS; j++) {
            x[i * COLUMNS + j] = j == 0 ? 1 : (uniform(&dice) - 0.5) * pow(10, j % 5);
            y[i] += x[i * COLUMNS + j] * j;
        }
        y[i] += i % 10 == 0 ? 1e4 * (uniform(&dice) - 0.5) : 0; // a tenth of the rows is off
    }
    struct linear_data data = {x, y, ROWS, COLUMNS};
    struct linear_fit fit;
    struct linear_error error;
    ck_assert(linear_least_deviations(&data, &fit, &error));
    for (int j = 0; j < COLUMNS; j++) {
        NEAR(fit.coefficients[j], j, 1e-6); // absolute deviations see past them
    }
    ck_assert(linear_least_squares(&data, &fit, &error));
    double normal_equations = 0;
    for (int i = 0; i < ROWS; i++) {
        double rest = y[i];
        for (int j = 0; j < COLUMNS; j++) {
            rest -= x[i * COLUMNS + j] * fit.coefficients[j];
        }
        normal_equations += rest;
    }
    NEAR(normal_equations, 0, 1e-6);
}
END_TEST

START_TEST(bad_data) {
    static const double twice[] = {1, 2, 1, 2, 1, 2, 1, 2};
    struct reference_problem p = four(REFERENCE_MSE, normal(0, 1));
    struct reference_result r;
    struct linear_error error;
    for (int loss = 0; loss < 3; loss++) {
        p = four((enum reference_loss)loss, normal(0, 1));
        p.data.x = twice;
        ck_assert(!reference_solve(&p, &r, &error));
        ck_assert(error.column == 1 && strstr(error.text, "combination") != NULL);
    }
    static const double zeros[8], broken[] = {1, NOT_A_NUMBER, 1, 1, 1, 2, 1, 3};
    p.data.x = zeros;
    ck_assert(!reference_solve(&p, &r, &error) && error.column == 0);
    p.data.x = broken;
    expect_error(p, "not finite");
    p = four(REFERENCE_MSE, normal(0, 1));
    p.data.rows = 1;
    expect_error(p, "rows");
    p.data.columns = 0;
    expect_error(p, "columns");
    p.data.columns = LINEAR_COLUMNS_MAX + 1;
    expect_error(p, "columns");
    p = four(REFERENCE_MSE, mixed(REFERENCE_BLOCKS, 2, 1, 1, 1));
    expect_error(p, "add up");
    p = four(REFERENCE_MSE, normal(0, -1));
    expect_error(p, "standard deviation");
}
END_TEST

START_TEST(no_temperature) {
    static const double line[] = {1, 2, 3, 4};
    struct reference_problem p = four(REFERENCE_MSE, normal(0, 1));
    p.data.y = line;
    struct reference_result r = solve(p);
    ck_assert_double_eq(r.energy[1].value, 0);
    ck_assert(strstr(r.temperature.reason, "perfect") != NULL);
    p = four(REFERENCE_MSE, normal(0, 1));
    p.data.rows = 2;
    ck_assert(strstr(solve(p).temperature.reason, "more rows") != NULL);
    struct reference_init constant = {.count = 1, .parts = {{REFERENCE_CONSTANT, 1, 0, 0}}};
    for (int loss = 0; loss < 3; loss++) {
        r = solve(four((enum reference_loss)loss, constant));
        static const double at_zero[] = {22.5, 4, M_LN2};
        NEAR(r.energy[0].value, at_zero[loss], 1e-10);
        ck_assert(r.entropy[0].reason != NULL && r.temperature.reason == r.entropy[0].reason);
    }
    // An initialisation as wide as the estimate: nothing to divide by.
    p = four(REFERENCE_MSE, flat(0, exp(1.2346504139745236 / 2)));
    ck_assert(strstr(solve(p).temperature.reason, "indeterminate") != NULL);
}
END_TEST

// Means and mixtures enter exactly: against drawn parameters.
START_TEST(energies_are_averages) {
    struct reference_init init = {
        .mixing = REFERENCE_BLOCKS,
        .count = 2,
        .parts = {{REFERENCE_UNIFORM, 1, 0.5, 4}, {REFERENCE_UNIFORM, 1, -1, 3}}};
    enum { SIDE = 400 };
    double sum[3] = {0};
    for (int i = 0; i < SIDE * SIDE; i++) {
        double u = (i / SIDE + 0.5) / SIDE, v = (i % SIDE + 0.5) / SIDE;
        for (int row = 0; row < 4; row++) {
            double z = 0.5 + 3.5 * u + (-1 + 4 * v) * four_x[2 * row + 1], r = four_y[row] - z;
            sum[REFERENCE_MSE] += r * r / 4;
            sum[REFERENCE_MAE] += fabs(r) / 4;
            sum[REFERENCE_CROSS_ENTROPY] += (log1p(exp(z)) - labels[row] * z) / 4;
        }
    }
    for (int loss = 0; loss < 3; loss++) {
        struct reference_problem p = four((enum reference_loss)loss, init);
        NEAR(reference_initial_energy(&p), sum[loss] / (SIDE * SIDE), 1e-4);
    }
}
END_TEST

// T falls like 1 / ln N: the asymptotic form is approached from below or above, ever more closely.
START_TEST(asymptotic_limit) {
    enum { ROWS = 20000 };
    static double x[2 * ROWS], y[ROWS];
    uint64_t dice = 6;
    for (int i = 0; i < ROWS; i++) {
        x[2 * i] = 1;
        x[2 * i + 1] = 2 * uniform(&dice) - 1;
        y[i] = x[2 * i + 1] + uniform(&dice) - 0.5;
    }
    double before = HUGE_VAL, temperature = HUGE_VAL;
    for (size_t n = 20; n <= ROWS; n *= 10) {
        struct reference_problem p = {.init = normal(0, 1), .data = {x, y, n, 2}};
        struct reference_result r = solve(p);
        double off = fabs(r.temperature.value / r.asymptotic.value - 1);
        ck_assert(off < before && r.temperature.value < temperature);
        before = off, temperature = r.temperature.value;
    }
    ck_assert(before < 0.3);
}
END_TEST

START_TEST(names) {
    ck_assert_str_eq(reference_loss_name(REFERENCE_CROSS_ENTROPY), "cross_entropy");
    ck_assert_str_eq(reference_entropy_name(REFERENCE_SAMPLING), "sampling");
    ck_assert_str_eq(reference_entropy_name(REFERENCE_QUANTUM), "quantum");
    ck_assert_str_eq(reference_entropy_name(REFERENCE_LAYER), "layer");
    ck_assert(strstr(reference_entropy_words(REFERENCE_QUANTUM), "epsilon") != NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reference");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, quadrature);
    tcase_add_test(tc, entropies);
    tcase_add_test(tc, entropies_of_mixtures);
    tcase_add_test(tc, no_entropy);
    tcase_add_test(tc, mean_square);
    tcase_add_test(tc, quanta);
    tcase_add_test(tc, layers);
    tcase_add_test(tc, absolute);
    tcase_add_test(tc, cross_entropy);
    tcase_add_test(tc, separable_classes);
    tcase_add_test(tc, least_deviations_are_least);
    tcase_add_test(tc, many_columns);
    tcase_add_test(tc, bad_data);
    tcase_add_test(tc, no_temperature);
    tcase_add_test(tc, energies_are_averages);
    tcase_add_test(tc, asymptotic_limit);
    tcase_add_test(tc, names);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
