// Layers as heat engines: the measured moments against an activation's own, what is said of each
// layer and of the network, and the energy balance sheet, worked out by hand.
#include "probes/balance.h"
#include "probes/engine.h"
#include "tests/unit/test_probes_feed.h"

static struct sample sample_of(double in_mean, double in_variance, double out_mean,
                               double out_variance) {
    return (struct sample){.in_mean = in_mean,
                           .in2 = in_mean * in_mean + in_variance,
                           .out_mean = out_mean,
                           .out2 = out_mean * out_mean + out_variance,
                           .active = num_missing(),
                           .saturated = num_missing()};
}

static struct engine_reading read_one(const char *name, const struct sample *s) {
    struct engine e;
    struct engine_reading r;
    engine_clear(&e);
    engine_observe(&e, s);
    engine_read(&e, activation_find(name), *name != '\0', &r);
    return r;
}

static void expect(const struct engine_figure *f, double x, double tolerance) {
    ck_assert_msg(f->reason == NULL, "%s", f->reason);
    ck_assert_msg(fabs(f->value - x) <= tolerance, "%.17g is not %.17g", f->value, x);
}

static void expect_none(const struct engine_figure *f, const char *reason) {
    ck_assert(num_is_missing(f->value) && f->reason != NULL);
    ck_assert_msg(strstr(f->reason, reason) != NULL, "'%s' has no '%s'", f->reason, reason);
}

// Theory's table at unit variance: <a>, <a^2>, Var a, chi, dS, R^2. NaN: there is none.
static const struct {
    const char *name;
    double mean, efficiency, variance, chi, entropy, linearity;
    enum engine_class class;
} unit[] = {
    {"linear", 0, 1, 1, 1, 0, 1, ENGINE_LOSSLESS},
    {"relu", 0.398942, 0.5, 0.340845, 0.5, (double)NAN, 0.733471, ENGINE_DISSIPATIVE},
    {"leaky_relu", 0.394953, 0.50005, 0.344062, 0.50005, -2.302585, 0.741218, ENGINE_DISSIPATIVE},
    {"tanh", 0, 0.394294, 0.394294, 0.464403, -0.749134, 0.930470, ENGINE_DISSIPATIVE},
    {"sigmoid", 0.5, 0.293379, 0.043379, 0.044836, -1.612118, 0.984167, ENGINE_DISSIPATIVE},
    {"softplus", 0.806059, 0.921246, 0.271515, 0.293379, -0.806059, 0.920761, ENGINE_DISSIPATIVE},
    {"elu", 0.160521, 0.644945, 0.619179, 0.668102, -0.398942, 0.936727, ENGINE_DISSIPATIVE},
    {"gelu", 0.282095, 0.425221, 0.345644, 0.455851, (double)NAN, 0.723288, ENGINE_DISSIPATIVE},
    {"silu", 0.206621, 0.355776, 0.313083, 0.379482, (double)NAN, 0.798510, ENGINE_DISSIPATIVE},
};

START_TEST(nine_activations_at_unit_variance) {
    struct sample s = sample_of(0, 1, unit[_i].mean, unit[_i].variance);
    struct engine_reading r = read_one(unit[_i].name, &s);
    expect(&r.efficiency, unit[_i].efficiency, 2e-6);
    expect(&r.reference, unit[_i].efficiency, 1e-6);
    expect(&r.ratio, 1, 1e-5);
    expect(&r.chi, unit[_i].chi, 1e-6);
    expect(&r.linearity, unit[_i].linearity, 1e-6);
    expect(&r.dissipated, 1 - unit[_i].efficiency, 2e-6);
    expect(&r.entropy_change_normal, log(unit[_i].variance) / 2, 1e-6);
    if (isnan(unit[_i].entropy)) {
        expect_none(&r.entropy_change, "none: ");
    } else {
        expect(&r.entropy_change, unit[_i].entropy, 1e-6);
    }
    ck_assert_int_eq(r.class, unit[_i].class);
    ck_assert(r.no_class == NULL);
}
END_TEST

// The reference is that at the measured variance and mean, not at 1 and 0: closed forms of ReLU.
START_TEST(the_reference_follows_the_input) {
    static const double inputs[][2] = {{0, 4}, {0.5, 0.25}, {-1, 2}, {3, 0.01}};
    for (size_t i = 0; i < 4; i++) {
        double mean = inputs[i][0], variance = inputs[i][1], deviation = sqrt(variance);
        double u = mean / deviation, share = erfc(-u * M_SQRT1_2) / 2;
        double density = exp(-u * u / 2) / sqrt(2 * M_PI);
        double out2 = (mean * mean + variance) * share + mean * deviation * density;
        double out = mean * share + deviation * density;
        struct sample s = sample_of(mean, variance, out, out2 - out * out);
        s.active = share;
        struct engine_reading r = read_one("relu", &s);
        expect(&r.reference, out2 / (mean * mean + variance), 1e-6);
        expect(&r.ratio, 1, 1e-5);
        expect(&r.dead, 1 - share, 1e-6);
        expect(&r.dead_reference, 1 - share, 1e-6);
        expect_none(&r.saturated, "no bounds");
    }
}
END_TEST

START_TEST(saturated_shares) {
    struct sample s = sample_of(0, 9, 0, 0.75);
    s.saturated = 0.4;
    struct engine_reading r = read_one("tanh", &s);
    expect(&r.saturated, 0.4, 1e-7);
    // P(|z| > atanh 0.99), z of deviation 3
    expect(&r.saturated_reference, erfc(2.6466524123622461 / 3 * M_SQRT1_2), 1e-9);
    expect_none(&r.dead, "can be dead");
    s.saturated = num_missing();
    r = read_one("sigmoid", &s);
    expect_none(&r.saturated, "needs a_saturated");
    expect(&r.saturated_reference, erfc(4.59511985013459 / 3 * M_SQRT1_2), 1e-9);
}
END_TEST

START_TEST(what_is_not_known) {
    struct sample s = sample_of(0.1, 1, 0.2, 0.5), nothing = s;
    nothing.in2 = nothing.out2 = num_missing();
    struct engine_reading r = read_one("relu", &nothing);
    expect_none(&r.efficiency, "needs z_mean");
    expect_none(&r.reference, "needs z_mean");
    expect_none(&r.ratio, "needs z_mean");
    ck_assert_int_eq(r.class, ENGINE_UNKNOWN);
    ck_assert(r.no_class != NULL);

    r = read_one("mish", &s); // an activation without reference: the measured class stands
    expect(&r.efficiency, 0.54 / 1.01, 1e-12);
    expect_none(&r.reference, "of this name");
    expect_none(&r.ratio, "of this name");
    ck_assert_int_eq(r.class, ENGINE_DISSIPATIVE);
    r = read_one("", &s);
    expect_none(&r.reference, "needs the activation's name");

    r = read_one("none", &nothing); // hands on its output by definition
    ck_assert_int_eq(r.class, ENGINE_LOSSLESS);
    expect(&r.reference, 1, 0);

    struct sample still = sample_of(0, 0, 0, 0);
    r = read_one("relu", &still);
    expect_none(&r.efficiency, "undefined");
    expect_none(&r.reference, "hardly varies");
    ck_assert_int_eq(r.class, ENGINE_UNKNOWN);
}
END_TEST

// Softplus passes as much as it gets near a variance of 1.1, but not what it gets.
START_TEST(lossless_is_coherent) {
    struct activation_transfer t;
    const struct activation *softplus = activation_find("softplus");
    double low = 0.5, high = 1;
    for (int i = 0; i < 60; i++) {
        double q = (low + high) / 2;
        ck_assert(activation_transfer(softplus, 0, q, &t));
        *(t.efficiency > 1 ? &low : &high) = q;
    }
    struct sample s = sample_of(0, low, t.mean, t.variance);
    struct engine_reading r = read_one("softplus", &s);
    expect(&r.efficiency, 1, 1e-6);
    ck_assert_int_eq(r.class, ENGINE_DISSIPATIVE);
    r = read_one("mish", &s);
    ck_assert_int_eq(r.class, ENGINE_LOSSLESS);
}
END_TEST

START_TEST(networks) {
    ck_assert_int_eq(engine_class_join(ENGINE_LOSSLESS, ENGINE_LOSSLESS), ENGINE_LOSSLESS);
    ck_assert_int_eq(engine_class_join(ENGINE_LOSSLESS, ENGINE_DISSIPATIVE), ENGINE_DISSIPATIVE);
    ck_assert_int_eq(engine_class_join(ENGINE_UNKNOWN, ENGINE_DISSIPATIVE), ENGINE_DISSIPATIVE);
    ck_assert_int_eq(engine_class_join(ENGINE_LOSSLESS, ENGINE_UNKNOWN), ENGINE_UNKNOWN);
    ck_assert_str_eq(engine_class_name(ENGINE_LOSSLESS), "lossless");
    ck_assert_str_eq(engine_class_name(ENGINE_DISSIPATIVE), "dissipative");
    ck_assert(engine_class_name(ENGINE_UNKNOWN) == NULL);
}
END_TEST

static void feed_layer(struct feed *f, size_t layer, const struct sample *s) {
    feed_set(f, STAT_Z_MEAN, layer, s->in_mean);
    feed_set(f, STAT_Z_VAR, layer, s->in2 - s->in_mean * s->in_mean);
    feed_set(f, STAT_A_MEAN, layer, s->out_mean);
    feed_set(f, STAT_A_VAR, layer, s->out2 - s->out_mean * s->out_mean);
    feed_set(f, STAT_A_ACTIVE, layer, 0.25);
}

// Averages forget by alpha = 0.02 a step; a segment begins them anew; saved and loaded they are the
// same to the last bit.
START_TEST(through_thermo) {
    double sizes[] = {10, 10};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 2, sizes), *u = thermo_create(&facts, 2, sizes);
    struct sample a = sample_of(0, 1, 0.5, 0.25), b = sample_of(1, 3, 0, 1);
    struct feed f;
    for (int k = 0; k < 2; k++) {
        feed_clear(&f, k);
        feed_layer(&f, 0, k ? &b : &a);
        thermo_observe(t, &f.step);
    }
    struct engine_reading r;
    engine_read(thermo_engine(t, 0), activation_find("relu"), true, &r);
    expect(&r.in_energy, 1 + 0.02 * 3, 1e-12);
    expect(&r.out_energy, 0.5 + 0.02 * 0.5, 1e-12);
    expect(&r.in_mean, 0.02, 1e-8);
    expect(&r.out_mean, 0.49, 1e-7);
    expect(&r.dead, 0.75, 1e-7);
    engine_read(thermo_engine(t, 1), activation_find("relu"), true, &r);
    expect_none(&r.efficiency, "needs z_mean");

    char *bytes = malloc(thermo_saved_size(t));
    ck_assert(bytes != NULL);
    thermo_save(t, bytes);
    ck_assert(thermo_load(u, bytes, thermo_saved_size(t)));
    ck_assert_mem_eq(thermo_engine(t, 0), thermo_engine(u, 0), sizeof(struct engine));
    bytes[thermo_saved_size(t) - 1] ^= 1; // the last engine's last byte is part of the checksum
    ck_assert(!thermo_load(u, bytes, thermo_saved_size(t)));
    free(bytes);

    thermo_begin_segment(t, &facts);
    engine_read(thermo_engine(t, 0), activation_find("relu"), true, &r);
    expect_none(&r.efficiency, "needs z_mean");
    thermo_destroy(t);
    thermo_destroy(u);
}
END_TEST

// --- the balance sheet ---

static void train(struct balance *b, struct thermo *t, int from, int to, double loss) {
    for (int k = from; k <= to; k++) {
        struct feed f;
        feed_clear(&f, k);
        f.step.loss = loss - 0.25 * (k - from);
        feed_set(&f, STAT_GU, 0, -0.5);
        feed_set(&f, STAT_GU, 1, -0.125);
        thermo_observe(t, &f.step);
        balance_observe(b, k, f.step.loss);
    }
}

// Three steps from 2.0 to 1.5, a refresh that lifts the loss by 0.75, two more steps.
START_TEST(balance_by_hand) {
    double sizes[] = {10, 10, 10};
    struct thermo_facts facts = facts_adam(0.1);
    struct thermo *t = thermo_create(&facts, 3, sizes);
    struct balance b = {0};
    balance_begin(&b);
    struct balance_sheet s = balance_read(&b, t);
    ck_assert_int_eq(s.since, -1);
    ck_assert(num_is_missing(s.in) && num_is_missing(s.heat));
    train(&b, t, 5, 7, 2);
    balance_refresh(&b, t);
    thermo_begin_state(t);
    s = balance_read(&b, t); // before the new state has a step
    ck_assert_double_eq_tol(s.heat, 1.875, 1e-12);
    ck_assert_double_eq_tol(s.work, 0, 1e-12);
    train(&b, t, 8, 9, 2.25);
    balance_observe(&b, 10, (double)NAN);
    s = balance_read(&b, t);
    ck_assert_int_eq(s.since, 5);
    ck_assert_uint_eq(s.refreshes, 1);
    ck_assert_uint_eq(s.unknown, 1);
    ck_assert_double_eq_tol(s.start, 2, 1e-12);
    ck_assert_double_eq_tol(s.work, 0.75, 1e-12);
    ck_assert_double_eq_tol(s.in, 2.75, 1e-12);
    ck_assert_double_eq_tol(s.energy, 2, 1e-12);
    ck_assert_double_eq_tol(s.kept, 0.75, 1e-12);
    ck_assert_double_eq_tol(s.heat, 5 * 0.625, 1e-12);
    ck_assert_double_eq_tol(s.returned, 5 * 0.625 - 0.75, 1e-12);
    ck_assert_double_eq_tol(s.kept_share, 0.75 / 3.125, 1e-12);
    ck_assert_double_eq_tol(balance_heat(&b, t, 0), 2.5, 1e-12);
    ck_assert_double_eq_tol(balance_heat(&b, t, 1), 0.625, 1e-12);
    ck_assert(num_is_missing(balance_heat(&b, t, 2)));

    struct buf saved;
    struct balance other = {0};
    buf_init(&saved, 1 << 20);
    balance_save(&b, 3, &saved);
    for (size_t n = 0; n < saved.len; n++) {
        ck_assert_uint_eq(balance_load(&other, 3, saved.data, n), 0);
    }
    ck_assert_uint_eq(balance_load(&other, 3, saved.data, saved.len), saved.len);
    struct buf again;
    buf_init(&again, 1 << 20);
    balance_save(&other, 3, &again);
    ck_assert_uint_eq(again.len, saved.len);
    ck_assert_mem_eq(again.data, saved.data, saved.len);
    buf_free(&saved);
    buf_free(&again);

    balance_begin(&b);
    ck_assert_int_eq(balance_read(&b, t).since, -1);
    balance_free(&b);
    balance_free(&other);
    thermo_destroy(t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, nine_activations_at_unit_variance, 0, 9);
    tcase_add_test(tc, the_reference_follows_the_input);
    tcase_add_test(tc, saturated_shares);
    tcase_add_test(tc, what_is_not_known);
    tcase_add_test(tc, lossless_is_coherent);
    tcase_add_test(tc, networks);
    tcase_add_test(tc, through_thermo);
    tcase_add_test(tc, balance_by_hand);
    suite_add_tcase(suite, tc);
    return feed_main(suite);
}
