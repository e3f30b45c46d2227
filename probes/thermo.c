// Orchestration: hands every step to the layers' bodies and their averages to the whole run's, and
// every question to the instrument that answers it.
#include "probes/thermo.h"

#include "base/check.h"
#include "base/num.h"
#include "probes/entropy.h"
#include "probes/instrument.h"
#include "probes/thermo_state.h"

#include <math.h>
#include <stdlib.h>

#define LR_MAX 1e100 // as for every other figure; below its inverse it counts as zero
#define LOSS_MAX 1e100
#define START_PAIRS 32 // differences of losses that tell the noise of the state's first loss

static struct body *whole(const struct thermo *t) {
    return &t->bodies[t->n_layers];
}

static void set_facts(struct run *run, const struct thermo_facts *facts) {
    run->optimizer = (uint8_t)facts->optimizer;
    run->momentum = facts->momentum;
    run->nesterov = facts->nesterov;
    run->beta1 = facts->beta1;
    run->weight_decay = facts->weight_decay;
    run->lr = facts->lr;
    run->batch_size = facts->batch_size;
}

static void begin_segment(struct thermo *t) {
    t->run.segment_steps = 0;
    t->run.eta = t->run.eta_prev = t->run.loss_work = num_missing();
    calorimeter_clear(&t->run.calorimeter);
    course_begin_segment(&t->run.course);
    for (size_t i = 0; i <= t->n_layers; i++) {
        body_begin_segment(&t->bodies[i]);
    }
    for (size_t i = 0; i < t->n_layers; i++) {
        engine_clear(&t->engines[i]);
    }
}

static void begin_state(struct run *run) {
    run->state_steps = 0;
    run->loss_start = run->loss_work = num_missing();
    calorimeter_clear(&run->calorimeter);
    run->loss_noise = run->loss_noise_start = run->loss_pairs = 0;
    run->entropy = run->entropy_size = 0;
    course_begin_state(&run->course);
}

static struct thermo_now no_step(void) {
    return (struct thermo_now){num_missing(), num_missing(), num_missing()};
}

struct thermo *thermo_create(const struct thermo_facts *facts, size_t n_layers,
                             const double *layer_sizes) {
    struct thermo *t = NEW(struct thermo);
    t->n_layers = n_layers;
    t->sizes = must_alloc((n_layers + 1) * sizeof *t->sizes);
    t->bodies = must_alloc((n_layers + 1) * sizeof *t->bodies);
    t->engines = must_alloc((n_layers + 1) * sizeof *t->engines);
    for (size_t i = 0; i < n_layers; i++) {
        t->sizes[i] = layer_sizes[i] >= 1 && layer_sizes[i] <= LOSS_MAX ? layer_sizes[i] : 1;
        t->sizes[n_layers] += t->sizes[i];
    }
    for (size_t i = 0; i <= n_layers; i++) {
        body_clear(&t->bodies[i]);
    }
    t->now = no_step();
    t->run.step = -1;
    t->run.loss = num_missing();
    t->run.dt = t->run.batch = t->run.alpha_low = t->run.alpha_high = num_missing();
    set_facts(&t->run, facts);
    begin_state(&t->run);
    begin_segment(t);
    return t;
}

void thermo_destroy(struct thermo *t) {
    if (t) {
        free(t->sizes);
        free(t->bodies);
        free(t->engines);
        free(t);
    }
}

void thermo_begin_state(struct thermo *t) {
    t->run.state++;
    begin_state(&t->run);
    for (size_t i = 0; i <= t->n_layers; i++) {
        body_begin_state(&t->bodies[i]);
    }
}

void thermo_begin_segment(struct thermo *t, const struct thermo_facts *facts) {
    set_facts(&t->run, facts);
    begin_segment(t);
}

// The step's own figure where it has one, else the fact from the hello; NaN when it is no figure at
// all.
static double figure(double own, double fact) {
    double x = num_is_missing(own) ? fact : own;
    if (!(x >= 0 && x <= LR_MAX)) {
        return num_missing();
    }
    return x < 1 / LR_MAX ? 0 : x;
}

static void begin_step(struct run *run, const struct thermo_step *step) {
    run->dt = run->segment_steps > 0 ? (double)((uint64_t)step->step - (uint64_t)run->step)
                                     : num_missing();
    run->eta_prev = run->passed ? num_missing() : run->eta;
    run->passed = false;
    run->eta = figure(step->lr, run->lr);
    run->batch = figure(step->batch_size, run->batch_size);
    run->step = step->step;
    run->segment_steps++;
    run->state_steps++;
}

static uint32_t seen_of_run(const struct run *run, double loss) {
    uint32_t seen = num_is_missing(loss) ? 0 : SEEN(NEED_LOSS);
    if (!isnan(run->eta)) {
        seen |= run->eta > 0 ? SEEN(NEED_LR) : SEEN(NEED_LR_ZERO);
    }
    seen |= run->dt <= 1 ? SEEN(NEED_NEIGHBOUR) : 0;
    return run->batch > 0 ? seen | SEEN(NEED_BATCH) : seen;
}

// What the layers of one step add up to.
struct sums {
    double weighted[ROW_COUNT],
        weight[ROW_COUNT]; // by parameters, over the layers that have it
    double entropy, entropy_size;
    double update2, gradient2, update_size, gradient_size;
    double gu;
    uint32_t seen;
    bool any_gu, entropy_complete, finite, weights_finite;
};

static void add_layer(struct sums *sums, double n, const struct body *b, const struct sample *s,
                      const double row[ROW_COUNT]) {
    for (size_t c = 0; c < ROW_COUNT; c++) {
        bool measured = !isnan(row[c]);
        sums->weighted[c] += measured ? n * row[c] : 0;
        sums->weight[c] += measured ? n : 0;
    }
    if (!isnan(row[COLUMN_ENTROPY])) {
        sums->entropy += row[COLUMN_ENTROPY];
        sums->entropy_size += n;
    } else if (n >= ENTROPY_SIZE_MIN && !isnan(b->variance_state)) {
        sums->entropy_complete = false; // it has an entropy, but this step does not tell it
    }
    if (!isnan(s->update2)) {
        sums->update2 += n * s->update2;
        sums->update_size += n;
    }
    if (!isnan(s->gradient2)) {
        sums->gradient2 += n * s->gradient2;
        sums->gradient_size += n;
    }
    if (!isnan(b->gu)) {
        sums->gu += b->gu;
        sums->any_gu = true;
    }
    sums->seen |= s->seen;
}

// The ends of the spectral ranks, over the layers that are ranked.
static void observe_alphas(struct thermo *t, const double *alpha) {
    size_t ends = t->n_layers > 2 ? 1 : 0;
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (size_t i = ends; alpha && i < t->n_layers - ends; i++) {
        double own = (double)t->bodies[i].alpha;
        low = fmin(low, isnan(alpha[i]) ? low : own);
        high = fmax(high, isnan(alpha[i]) ? high : own);
    }
    if (low <= high) {
        t->run.alpha_low = low;
        t->run.alpha_high = high;
    }
}

static void observe_layers(struct thermo *t, const struct thermo_step *step, struct sums *sums) {
    uint32_t seen = seen_of_run(&t->run, step->loss);
    double row[ROW_COUNT];
    for (size_t i = 0; i < t->n_layers; i++) {
        struct sample s = sample_take(step, i);
        s.seen |= seen | (s.batch_small < t->run.batch ? SEEN(NEED_SMALLER_BATCH) : 0);
        if (s.finite && body_measure(&t->bodies[i], &t->run, t->sizes[i], &s, row)) {
            body_observe(&t->bodies[i], &t->run, t->sizes[i], &s, row);
            engine_observe(&t->engines[i], &s);
            add_layer(sums, t->sizes[i], &t->bodies[i], &s, row);
        } else {
            body_skip(&t->bodies[i], s.weights_finite);
            sums->finite = false;
            sums->weights_finite = sums->weights_finite && s.weights_finite;
        }
    }
    observe_alphas(t, step->stat[STAT_W_ALPHA]);
}

// A mean until the weight of the newest has fallen to alpha.
static void average(double *mean, double count, double x) {
    *mean += fmax(EWMA_ALPHA, 1 / count) * (x - *mean);
}

static void observe_loss(struct run *run, double loss) {
    run->loss_work = isnan(run->loss_work) ? loss : run->loss_work;
    if (isnan(run->loss_start)) {
        run->loss_start = loss;
    } else if (run->segment_steps > 1) {
        double change = loss - run->loss, variance = change * change / 2;
        run->loss_pairs++;
        average(&run->loss_noise, run->loss_pairs, variance);
        if (run->loss_pairs <= START_PAIRS) {
            run->loss_noise_start += (variance - run->loss_noise_start) / run->loss_pairs;
        }
    }
    run->loss = loss;
}

static double mean(double sum, double size) {
    return size > 0 ? sum / size : num_missing();
}

static void whole_row(struct run *run, const struct sums *sums, double loss,
                      double row[ROW_COUNT]) {
    for (size_t c = 0; c < ROW_COUNT; c++) {
        row[c] = mean(sums->weighted[c], sums->weight[c]);
    }
    row[COLUMN_ENERGY] = loss;
    row[COLUMN_ENTROPY] = num_missing();
    if (sums->entropy_complete && sums->entropy_size > 0) {
        run->entropy = sums->entropy;
        run->entropy_size = sums->entropy_size;
        row[COLUMN_ENTROPY] = run->entropy;
    }
}

static void observe_calorimeter(struct thermo *t, const struct thermo_step *step, double loss,
                                const double row[ROW_COUNT], double work, bool anew) {
    bool after = fabs(step->loss_after) <= LOSS_MAX;
    struct calorimeter_step s = {
        .loss = loss,
        .loss_after = after ? step->loss_after : num_missing(),
        .kinetic = row[COLUMN_KINETIC],
        .eta = t->run.eta,
        .work = work,
        .dt = t->run.dt,
        .block_limit = whole(t)->ledger.block,
        .anew = anew,
    };
    calorimeter_observe(&t->run.calorimeter, &s);
}

static void observe_whole(struct thermo *t, const struct thermo_step *step, double loss,
                          const struct sums *sums) {
    double row[ROW_COUNT];
    double n = t->sizes[t->n_layers];
    struct sample s = {
        .update2 = mean(sums->update2, sums->update_size),
        .gradient2 = mean(sums->gradient2, sums->gradient_size),
        .gu = sums->any_gu ? sums->gu : num_missing(),
        .weight2 = num_missing(),
        .weight_variance = num_missing(),
        .out2 = num_missing(),
        .in2 = num_missing(),
        .alpha = num_missing(),
        .seen = sums->seen,
    };
    if (!isnan(loss)) {
        observe_loss(&t->run, loss);
    }
    whole_row(&t->run, sums, loss, row);
    double work = whole(t)->gu * t->run.dt;
    enum ledger_event event = body_observe(whole(t), &t->run, n, &s, row);
    observe_calorimeter(t, step, loss, row, work, event == LEDGER_BROKE);
    course_add(&t->run.course, row[COLUMN_ENERGY], row[COLUMN_ENTROPY],
               ledger_steps(&whole(t)->ledger));
    t->now = (struct thermo_now){
        .kinetic = kinetic_scale(&t->run) * row[COLUMN_KINETIC],
        .entropy = row[COLUMN_ENTROPY],
        .entropy_size = t->run.entropy_size,
    };
}

static bool is_set(const double *column, size_t layer) {
    return column && !num_is_missing(column[layer]);
}

// Loss scaling that overflowed: some gradient is not finite, and the optimizer moved nothing at
// all.
static bool is_not_taken(const struct thermo *t, const struct thermo_step *step) {
    const double *mean = step->stat[STAT_U_MEAN], *variance = step->stat[STAT_U_VAR];
    bool still = false, overflowed = false;
    for (size_t i = 0; i < t->n_layers; i++) {
        if ((is_set(mean, i) && !(fabs(mean[i]) <= 0)) ||
            (is_set(variance, i) && !(fabs(variance[i]) <= 0))) {
            return false;
        }
        still = still || (is_set(mean, i) && is_set(variance, i));
        for (enum statistic g = STAT_G_MEAN; g <= STAT_G_VAR; g++) {
            overflowed = overflowed || (is_set(step->stat[g], i) && !isfinite(step->stat[g][i]));
        }
        if (is_set(step->stat[STAT_W_VAR], i) && !isfinite(step->stat[STAT_W_VAR][i])) {
            return false; // the weights themselves are gone
        }
    }
    return still && overflowed;
}

static void pass_step(struct thermo *t) {
    t->run.passed = true;
    t->run.skipped++;
    calorimeter_pass(&t->run.calorimeter);
    for (size_t i = 0; i <= t->n_layers; i++) {
        body_pass(&t->bodies[i]);
    }
}

void thermo_observe(struct thermo *t, const struct thermo_step *step) {
    struct sums sums = {.entropy_complete = true, .finite = true, .weights_finite = true};
    bool loss_known = !num_is_missing(step->loss);
    if (t->run.segment_steps > 0 && step->step <= t->run.step) {
        begin_segment(t); // a step again: what follows does not continue the windows
    }
    begin_step(&t->run, step);
    t->now = no_step();
    if (is_not_taken(t, step)) {
        pass_step(t);
        return;
    }
    observe_layers(t, step, &sums);
    if (!sums.finite || (loss_known && !(fabs(step->loss) <= LOSS_MAX))) {
        body_skip(whole(t), sums.weights_finite);
        calorimeter_pass(&t->run.calorimeter);
    } else {
        observe_whole(t, step, loss_known ? step->loss : num_missing(), &sums);
    }
}

size_t thermo_layers(const struct thermo *t) {
    return t->n_layers;
}

unsigned thermo_state(const struct thermo *t) {
    return t->run.state;
}

int64_t thermo_step_seen(const struct thermo *t) {
    return t->run.step;
}

const struct engine *thermo_engine(const struct thermo *t, size_t layer) {
    CHECK(layer < t->n_layers);
    return &t->engines[layer];
}

void thermo_now(const struct thermo *t, struct thermo_now *now) {
    *now = t->now;
}

uint32_t thermo_skipped(const struct thermo *t) {
    return t->run.skipped;
}

bool thermo_newest_is_skipped(const struct thermo *t) {
    return t->run.passed;
}

typedef void instrument(const struct view *v, struct reading *r);

static instrument *const instruments[METRIC_COUNT] = {
    [METRIC_ENERGY] = energy_read,
    [METRIC_ENTROPY] = entropy_read,
    [METRIC_TRANSITION] = transition_read,
    [METRIC_DIFFERENTIAL] = differential_read,
    [METRIC_KINETIC] = kinetic_read,
    [METRIC_CONFIGURATIONAL] = configurational_read,
    [METRIC_NOISE] = noise_read,
    [METRIC_VELOCITY] = velocity_read,
    [METRIC_STABILITY] = stability_read,
    [METRIC_COHERENCE] = coherence_read,
    [METRIC_DRIFT] = drift_read,
    [METRIC_EQUILIBRIUM] = equilibrium_read,
    [METRIC_HEAT] = heat_read,
    [METRIC_EFFICIENCY] = efficiency_read,
    [METRIC_UPDATE_RATIO] = update_ratio_read,
    [METRIC_FREE_ENERGY] = free_energy_read,
    [METRIC_HEAT_CAPACITY] = heat_capacity_read,
    [METRIC_NOISE_SCALE] = noise_scale_read,
    [METRIC_RETENTION] = retention_read,
    [METRIC_FIRST_LAW] = first_law_read,
    [METRIC_ENTROPY_PRODUCTION] = entropy_production_read,
    [METRIC_UPDATE_EQUILIBRIUM] = update_equilibrium_read,
    [METRIC_SPECTRAL] = spectral_read,
    [METRIC_QUADRANT] = quadrant_read,
};

static struct view view_of(const struct thermo *t, size_t layer, bool interval) {
    CHECK(layer == THERMO_GLOBAL || layer < t->n_layers);
    size_t i = layer == THERMO_GLOBAL ? t->n_layers : layer;
    return (struct view){
        .run = &t->run,
        .body = &t->bodies[i],
        .engine = layer == THERMO_GLOBAL ? NULL : &t->engines[i],
        .n = t->sizes[i],
        .whole = layer == THERMO_GLOBAL,
        .interval = interval,
        .layers = t->bodies,
        .sizes = t->sizes,
        .n_layers = t->n_layers,
    };
}

static void read_one(const struct view *v, enum metric m, struct reading *r) {
    if (v->run->segment_steps < 1 || v->run->state_steps < 1) {
        reading_none(r, "no step yet");
    } else if (v->body->nonfinite_run >= BODY_DIVERGED_STEPS) {
        reading_none(r, "diverged: the statistics are not finite");
    } else {
        instruments[m](v, r);
    }
}

void thermo_read(const struct thermo *t, size_t layer, struct reading readings[METRIC_COUNT]) {
    struct view v = view_of(t, layer, true);
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        read_one(&v, m, &readings[m]);
        if (readings[m].reason) {
            readings[m].value = num_missing();
        }
    }
}

double thermo_value(const struct thermo *t, size_t layer, enum metric m) {
    struct view v = view_of(t, layer, false);
    struct reading r;
    read_one(&v, m, &r);
    return r.reason ? num_missing() : r.value;
}

bool thermo_interval(const struct thermo *t, size_t layer, enum metric m, double *low,
                     double *high) {
    struct view v = view_of(t, layer, true);
    struct reading r;
    read_one(&v, m, &r);
    *low = r.low;
    *high = r.high;
    return !r.reason && r.has_interval;
}
