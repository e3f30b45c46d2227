// Where the entropy's course breaks, where the heat capacity peaks, and that a saved state goes on.
#include "probes/phases.h"
#include "test_probes_feed.h"

#define SIDE 8 // of the Ising model
#define SPINS (SIDE * SIDE)

static struct phases phases;
static struct phase_change change;
static struct dice dice;

static void setup(void) {
    phases_begin(&phases);
    dice = (struct dice){77};
}

// Entropy that changes by `rate` nats a step, with noise in proportion; how many changes were
// found.
struct walk {
    int64_t step;
    double entropy;
};

static int go(struct walk *w, int n, double rate, double noise) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        w->entropy += rate * (1 + noise * dice_normal(&dice));
        found += entropy_course_add(&phases.entropy, w->step++, w->entropy, 1000, &change);
    }
    return found;
}

START_TEST(another_rate_is_found_once_and_where_it_is) {
    static const double rates[] = {0, -2, 10, 1e6};
    struct walk w = {0, -3000};
    dice.state += (uint64_t)_i;
    ck_assert_int_eq(go(&w, 1000, 1, 0.5), 0);
    ck_assert_int_eq(go(&w, 1000, rates[_i % 4], 0.5), 1);
    ck_assert_int_eq(change.what, PHASE_ENTROPY);
    ck_assert_int_ge(change.step, 1000 - 2 * LEVEL_BLOCK);
    ck_assert_int_le(change.step, 1000 + LEVEL_BLOCK);
    ck_assert_int_gt(change.found, change.step);
    ck_assert_int_lt(change.found, 1000 + 8 * LEVEL_BLOCK);
    ck_assert_double_eq_tol(change.before, 1, 0.3);
    ck_assert_double_eq_tol(change.after, rates[_i % 4], 0.3 * fmax(fabs(rates[_i % 4]), 1));
    ck_assert_double_gt(change.probability, 0.9);
}
END_TEST

START_TEST(a_jump_is_told_as_one) {
    struct walk w = {0, -3000};
    dice.state += (uint64_t)_i;
    ck_assert_int_eq(go(&w, 1000, 1, 0.5), 0);
    w.entropy += _i % 2 ? 500 : -500;
    ck_assert_int_eq(go(&w, 1000, 1, 0.5), 1);
    ck_assert_int_eq(change.what, PHASE_ENTROPY_JUMP);
    ck_assert_int_eq(change.step, 1000 - 1000 % LEVEL_BLOCK + 1); // its block's: rates begin at 1
    ck_assert_double_eq_tol(change.before, LEVEL_BLOCK, 5);
    ck_assert_double_eq_tol(change.after, _i % 2 ? 516 : -484, 10);
}
END_TEST

// Weights that settle spread ever more slowly: nothing breaks, whether smoothly or with noise.
START_TEST(settling_and_noise_are_no_change) {
    int found = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        setup();
        dice.state = 1000 * seed;
        struct walk w = {0, 0};
        for (int i = 0; i < 8000; i++) {
            double slow = 5 / (1 + 0.004 * i), cosine = 1 + cos(M_PI * i / 8000);
            found += go(&w, 1,
                        seed % 3 == 0   ? slow
                        : seed % 3 == 1 ? cosine
                                        : 1,
                        seed < 10 ? 0 : 0.3);
        }
    }
    ck_assert_int_le(found, 2);
}
END_TEST

START_TEST(a_refresh_and_what_is_missing_are_no_change) {
    struct walk w = {0, -3000};
    ck_assert_int_eq(go(&w, 800, 1, 0.5), 0);
    w.entropy = 0; // counted from the refresh on
    phases_refresh(&phases);
    ck_assert_int_eq(go(&w, 400, 1, 0.5), 0);
    ck_assert(!entropy_course_add(&phases.entropy, w.step++, NAN, 1000, &change));
    w.entropy = 1e6;
    ck_assert_int_eq(go(&w, 400, 1, 0.5), 0);
    w.entropy = -1e6; // of other layers
    ck_assert(!entropy_course_add(&phases.entropy, w.step++, w.entropy, 500, &change));
    ck_assert_int_eq(go(&w, 400, 1, 0.5), 0);
}
END_TEST

// The two-dimensional Ising model by Metropolis, warmed through its transition: its energy is the
// loss and its bath the kinetic temperature.
struct ising {
    int spin[SPINS], energy;
};

static void ising_start(struct ising *m) {
    for (int i = 0; i < SPINS; i++) {
        m->spin[i] = 1;
    }
    m->energy = -2 * SPINS;
}

static void ising_sweep(struct ising *m, double t) {
    for (int k = 0; k < SPINS; k++) {
        int i = (int)(dice_uniform(&dice) * SPINS), column = i % SIDE, row = i - column;
        int field = m->spin[row + (column + 1) % SIDE] + m->spin[row + (column + SIDE - 1) % SIDE] +
                    m->spin[(i + SIDE) % SPINS] + m->spin[(i + SPINS - SIDE) % SPINS];
        int cost = 2 * m->spin[i] * field;
        if (cost <= 0 || dice_uniform(&dice) < exp(-cost / t)) {
            m->spin[i] = -m->spin[i];
            m->energy += cost;
        }
    }
}

// Of an infinite lattice the transition is at 2.269; the 8 x 8 lattice's heat capacity peaks
// at 2.35 and is above nine tenths of that from 2.22 to 2.47.
START_TEST(an_ising_model_peaks_at_its_transition) {
    enum { STEPS = 8000 };
    struct ising model;
    int found = 0;
    dice.state += (uint64_t)_i;
    ising_start(&model);
    for (int i = 0; i < STEPS; i++) {
        double t = 1.2 + 3.3 * i / STEPS;
        ising_sweep(&model, t);
        found += heat_peak_add(&phases.heat, i, model.energy, t, &change);
    }
    ck_assert_int_eq(found, 1);
    ck_assert_int_eq(change.what, PHASE_HEAT);
    ck_assert_double_eq_tol(1.2 + 3.3 * (double)change.step / STEPS, 2.35, 0.25);
    ck_assert(change.found > change.step && change.before < 20 && change.after > 40);
}
END_TEST

// A steady system has none, however long, nor one whose temperature falls evenly.
START_TEST(no_transition_no_peak) {
    double state = 0;
    int found = 0;
    for (int i = 0; i < 200000; i++) {
        double t = i < 100000 ? 1 : exp(-(i - 100000) / 20000.0);
        state = 0.8 * state + 0.6 * dice_normal(&dice);
        found += heat_peak_add(&phases.heat, i, 5 * t * (1 + 0.3 * state), t, &change);
    }
    ck_assert_int_le(found, 2);
}
END_TEST

START_TEST(what_is_no_number_begins_the_windows_anew) {
    for (int i = 0; i < 1000; i++) {
        heat_peak_add(&phases.heat, i, dice_normal(&dice), 1, &change);
    }
    ck_assert(!heat_peak_add(&phases.heat, 1000, NAN, 1, &change));
    ck_assert_uint_eq(phases.heat.blocks, 0);
    static const double odd[] = {0, 1e100, -1e100, 1e-300, 5};
    for (int i = 0; i < 5000; i++) {
        ck_assert(!heat_peak_add(&phases.heat, i, odd[i % 5], fabs(odd[i % 3]), &change));
    }
    ck_assert(heat_peak_is_valid(&phases.heat));
}
END_TEST

static void feed_some(struct phases *p, int from, int to, struct dice *d, int *found) {
    for (int i = from; i < to; i++) {
        struct phase_change c;
        double loss = (i < 700 ? 1 : 3) * exp(0.1 * dice_normal(d));
        *found += loss_course_add(&p->loss, i, loss, &c);
        *found += entropy_course_add(&p->entropy, i, i < 700 ? i : 5.0 * i, 1000, &c);
        *found += heat_peak_add(&p->heat, i, loss, 1, &c);
    }
}

START_TEST(a_saved_state_goes_on_the_same) {
    struct phases loaded;
    struct buf saved, again;
    buf_init(&saved, 1 << 20);
    buf_init(&again, 1 << 20);
    int found = 0, found_loaded = 0, cut = 100 * _i;
    feed_some(&phases, 0, cut, &dice, &found);
    phases_save(&phases, &saved);
    ck_assert_uint_eq(phases_load(&loaded, saved.data, saved.len), saved.len);
    for (size_t n = 0; n < saved.len; n += 7) {
        struct phases bad;
        ck_assert_uint_eq(phases_load(&bad, saved.data, n), 0);
    }
    struct dice same = dice;
    found_loaded = found;
    feed_some(&phases, cut, 1200, &dice, &found);
    feed_some(&loaded, cut, 1200, &same, &found_loaded);
    ck_assert_int_eq(found,
                     3); // the loss, the entropy, and a heat capacity that takes both levels in
    ck_assert_int_eq(found_loaded, 3);
    buf_clear(&saved);
    phases_save(&phases, &saved);
    phases_save(&loaded, &again);
    ck_assert(saved.len == again.len && memcmp(saved.data, again.data, saved.len) == 0);
    buf_free(&saved);
    buf_free(&again);
}
END_TEST

START_TEST(a_damaged_state_is_refused) {
    struct phases bad = phases;
    struct buf saved;
    int found = 0;
    buf_init(&saved, 1 << 20);
    feed_some(&phases, 0, 500, &dice, &found);
    for (int i = 0; i < 4; i++) {
        bad = phases;
        bad.loss.levels.filled = i == 0 ? LEVEL_BLOCK : bad.loss.levels.filled;
        bad.entropy.rates.changes.runs[0].beta =
            i == 1 ? -1 : bad.entropy.rates.changes.runs[0].beta;
        bad.entropy.rates.is_linear = i == 2 ? 2 : 1;
        bad.heat.filled = i == 3 ? PEAK_BLOCK : bad.heat.filled;
        buf_clear(&saved);
        phases_save(&bad, &saved);
        struct phases loaded;
        ck_assert_uint_eq(phases_load(&loaded, saved.data, saved.len), 0);
    }
    buf_free(&saved);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create("phases");
    TCase *t = tcase_create("phases");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, another_rate_is_found_once_and_where_it_is, 0, 16);
    tcase_add_loop_test(t, a_jump_is_told_as_one, 0, 16);
    tcase_add_test(t, settling_and_noise_are_no_change);
    tcase_add_test(t, a_refresh_and_what_is_missing_are_no_change);
    tcase_add_loop_test(t, an_ising_model_peaks_at_its_transition, 0, 8);
    tcase_add_test(t, no_transition_no_peak);
    tcase_add_test(t, what_is_no_number_begins_the_windows_anew);
    tcase_add_loop_test(t, a_saved_state_goes_on_the_same, 0, 12);
    tcase_add_test(t, a_damaged_state_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    return feed_main(suite());
}
