// Histograms of outputs: the message, adding up those of several ranks, and what is told of their
// course.
#include "base/num.h"
#include "probes/output_probe.h"
#include "tests/unit/support/support.h"
#include "wire/outputs.h"

#include <math.h>

static int parse(struct outputs *o, const char *line, struct wire_error *error) {
    char *copy = exact_copy(line, strlen(line));
    int rc = outputs_parse(o, copy, strlen(line), error);
    free(copy);
    return rc;
}

START_TEST(prints_what_it_read) {
    static const char line[] = "{\"type\":\"outputs\",\"step\":17,\"time\":1700000000.5,\"bins\":"
                               "[-1.5,0,0.1,1e+300],\"counts\":[0,2.5,7]}\n";
    struct outputs o = {0}, again = {0};
    struct wire_error error;
    ck_assert_int_eq(parse(&o, line, &error), 0);
    ck_assert_int_eq(o.step, 17);
    ck_assert_uint_eq(o.n_bins, 4);
    ck_assert_uint_eq(o.n_counts, 3);
    struct buf out = new_buf();
    outputs_print(&o, &out);
    ck_assert_str_eq(buf_str(&out), line);
    outputs_copy(&again, &o);
    buf_clear(&out);
    outputs_print(&again, &out);
    ck_assert_str_eq(buf_str(&out), line);
    buf_free(&out);
    outputs_free(&o);
    outputs_free(&again);
}
END_TEST

START_TEST(refuses) {
    static const struct {
        const char *line, *message;
        enum wire_code code;
    } cases[] = {
        {"{}", "\"step\" is missing", WIRE_BAD_VALUE},
        {"{\"step\":1}", "0 bins and 0 counts", WIRE_WRONG_SHAPE},
        {"{\"step\":null,\"bins\":[0],\"counts\":[1]}", "step is not", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0],\"counts\":[null]}", "counts[0]", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0],\"counts\":[\"x\"]}", "counts[0]", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0,NaN],\"counts\":[1]}", "bins[1]", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0,-1],\"counts\":[1]}", "bins[1] is not above", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0],\"counts\":[-1]}", "counts[0] is below 0", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0],\"counts\":[0]}", "add up to 0", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0,1],\"counts\":[1e308,1e308]}", "add up to more", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":{},\"counts\":[1]}", "bins is not a list", WIRE_WRONG_SHAPE},
        {"{\"step\":1,\"counts\":[1],\"counts\":[1],\"bins\":[0]}", "twice", WIRE_BAD_VALUE},
        {"{\"step\":1,\"bins\":[0,1,2],\"counts\":[1]}", "3 bins and 1 counts", WIRE_WRONG_SHAPE},
        {"{\"step\":1,\"bins\":[0", "not JSON", WIRE_BAD_JSON},
        {"{\"step\":1,\"bins\":[0],\"counts\":[1]} x", "not JSON", WIRE_BAD_JSON},
        {"[]", "not JSON", WIRE_BAD_JSON},
    };
    struct outputs o = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wire_error error;
        ck_assert_msg(parse(&o, cases[i].line, &error) == -1, "%s", cases[i].line);
        ck_assert_msg(strstr(error.message, cases[i].message), "%s: %s", cases[i].line,
                      error.message);
        ck_assert_int_eq(error.code, cases[i].code);
        ck_assert(o.bins == NULL && o.counts == NULL);
    }
}
END_TEST

START_TEST(adds) {
    struct outputs a = {0}, b = {0}, other = {0};
    struct wire_error error;
    ck_assert_int_eq(parse(&a, "{\"step\":1,\"bins\":[0,1],\"counts\":[1,2]}", &error), 0);
    ck_assert_int_eq(parse(&b, "{\"step\":1,\"bins\":[0,1],\"counts\":[3,0]}", &error), 0);
    ck_assert_int_eq(parse(&other, "{\"step\":1,\"bins\":[0,2],\"counts\":[1,1]}", &error), 0);
    ck_assert(outputs_add(&a, &b));
    ck_assert(!outputs_add(&a, &other));
    ck_assert(a.counts[0] > 3.9 && a.counts[0] < 4.1 && a.counts[1] > 1.9 && a.counts[1] < 2.1);
    b.counts[0] = a.counts[1] = 1.7e308;
    b.counts[1] = 1.7e308;
    ck_assert(!outputs_add(&a, &b));
    ck_assert(a.counts[0] < 4.1); // untouched
    outputs_free(&a);
    outputs_free(&b);
    outputs_free(&other);
}
END_TEST

// --- the probe ---

static const double places[] = {0, 1, 2, 3, 4};

struct world {
    struct output_probe probe;
    uint64_t seed;
    int64_t step;
    struct phase_change change;
    size_t changes;
};

// One window of 1000 draws, the first bin `tilt` times as likely as the others.
static void show(struct world *w, double tilt) {
    double counts[4] = {0};
    for (int i = 0; i < 1000; i++) {
        double x = (random_unit(&w->seed) + 1) / 2 * (tilt + 3);
        counts[x < tilt ? 0 : 1 + (size_t)(x - tilt)]++;
    }
    bool changed;
    struct phase_change change;
    ck_assert(output_probe_add(&w->probe, w->step++, places, 4, counts, 4, &change, &changed));
    if (changed) {
        w->change = change;
        w->changes++;
    }
}

static struct world new_world(uint64_t seed) {
    struct world w = {.seed = seed};
    output_probe_begin(&w.probe);
    return w;
}

START_TEST(by_hand) {
    static const double a[] = {1, 1, 2, 0}, b[] = {1, 3, 0, 0};
    struct world w = new_world(1);
    bool changed;
    ck_assert(w.probe.entropy.reason && w.probe.jensen_shannon.reason);
    ck_assert(output_probe_add(&w.probe, 3, places, 4, a, 4, &w.change, &changed));
    ck_assert_double_eq_tol(w.probe.entropy.value, 1.5 * M_LN2, 1e-15);
    ck_assert_str_eq(w.probe.total_variation.reason, "needs two windows");
    ck_assert(!output_probe_add(&w.probe, 3, places, 4, b, 4, &w.change, &changed));
    ck_assert(output_probe_add(&w.probe, 4, places, 4, b, 4, &w.change, &changed));
    ck_assert_double_eq_tol(w.probe.total_variation.value, 0.5, 1e-15);
    ck_assert_double_eq_tol(w.probe.jensen_shannon.value, distribution_divergence(a, b, 4).value,
                            1e-15);
    ck_assert(output_probe_add(&w.probe, 5, places, 5, b, 4, &w.change, &changed));
    ck_assert_str_eq(w.probe.jensen_shannon.reason, "the bins changed");
    ck_assert(!changed);
    output_probe_free(&w.probe);
}
END_TEST

// Another distribution from one window to the next is one jump, seen in 97 of 100 worlds at least;
// nothing but draws and a slow drift is none in 99.
START_TEST(jumps) {
    size_t found = 0, false_alarms = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct world steady = new_world(seed), jump = new_world(seed + 1000);
        for (int k = 0; k < 100; k++) {
            show(&steady, 1 + 0.005 * k);
            show(&jump, k < 50 ? 1 : 4);
            ck_assert(k < 50 ? jump.changes <= 1 : true);
        }
        false_alarms += steady.changes;
        found += jump.changes >= 1 && jump.change.step == 50 && jump.change.what == PHASE_OUTPUTS &&
                 jump.change.after > 4 * jump.change.before && jump.change.probability > 0.9;
        output_probe_free(&steady.probe);
        output_probe_free(&jump.probe);
    }
    ck_assert_uint_ge(found, 97);
    ck_assert_uint_le(false_alarms, 1);
}
END_TEST

START_TEST(saved_and_loaded) {
    struct world w = new_world(7), other = new_world(0);
    for (int k = 0; k < 30; k++) {
        struct buf bytes = new_buf(), again = new_buf();
        output_probe_save(&w.probe, &bytes);
        for (size_t n = 0; n < bytes.len && k == 10; n += 7) {
            ck_assert_uint_eq(output_probe_load(&other.probe, bytes.data, n), 0);
        }
        ck_assert_uint_eq(output_probe_load(&other.probe, bytes.data, bytes.len), bytes.len);
        other.seed = w.seed;
        other.step = w.step;
        show(&w, k == 20 ? 5 : 1);
        show(&other, k == 20 ? 5 : 1);
        buf_clear(&bytes);
        output_probe_save(&w.probe, &bytes);
        output_probe_save(&other.probe, &again);
        ck_assert_uint_eq(bytes.len, again.len);
        ck_assert_mem_eq(bytes.data, again.data, bytes.len);
        ck_assert(w.probe.entropy.reason == other.probe.entropy.reason);
        buf_free(&bytes);
        buf_free(&again);
    }
    ck_assert_uint_ge(w.changes, 1);
    output_probe_free(&w.probe);
    output_probe_free(&other.probe);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {prints_what_it_read, refuses, adds, by_hand, jumps,
                                  saved_and_loaded};
    return run_suite(suite_of("outputs", tests, COUNT(tests)));
}
