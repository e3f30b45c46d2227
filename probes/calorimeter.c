#include "probes/calorimeter.h"

#include "base/num.h"
#include "probes/ledger.h"
#include "probes/slope.h"
#include "probes/student.h"

#include <math.h>
#include <string.h>

#define JUMP 1.2 // by which factor a learning rate changes at once to count as having jumped
#define TREND_ERRORS 3

static void begin_anew(struct calorimeter *c) {
    memset(c->sum, 0, sizeof c->sum);
    memset(c->count, 0, sizeof c->count);
    memset(c->kept, 0, sizeof c->kept);
    c->origin = c->previous = num_missing();
    c->block = 1;
    c->filled = c->rows = 0;
}

void calorimeter_clear(struct calorimeter *c) {
    memset(c, 0, sizeof *c);
    c->eta = c->change = c->before_energy = c->before_kinetic = num_missing();
    begin_anew(c);
}

static double average(double sum, double count) {
    return count > 0 ? sum / count : num_missing();
}

static double row(const struct calorimeter *c, size_t r, size_t column) {
    return r < CALORIMETER_ROWS - 1 ? packed_value(c->kept[r][column]) : c->sum[column];
}

static double average_of_both(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return isnan(a) ? b : a;
    }
    return a / 2 + b / 2;
}

static void keep(struct calorimeter *c, size_t r, const double *values) {
    for (size_t i = 0; i < CALORIMETER_COLUMNS; i++) {
        c->kept[r][i] = packed_from(values[i]);
    }
}

static void merge_neighbours(struct calorimeter *c) {
    for (size_t r = 0; r < CALORIMETER_ROWS / 2; r++) {
        double both[CALORIMETER_COLUMNS];
        for (size_t i = 0; i < CALORIMETER_COLUMNS; i++) {
            both[i] = average_of_both(row(c, 2 * r, i), row(c, 2 * r + 1, i));
        }
        keep(c, r, both);
    }
    c->rows = CALORIMETER_ROWS / 2;
    c->block *= 2;
}

static void complete_block(struct calorimeter *c, uint32_t block_limit) {
    for (size_t i = 0; i < CALORIMETER_COLUMNS; i++) {
        c->sum[i] = average(c->sum[i], c->count[i]);
    }
    if (c->rows < CALORIMETER_ROWS - 1) {
        keep(c, c->rows++, c->sum);
    } else if (c->block < LEDGER_FRESH || c->block < block_limit) {
        merge_neighbours(c);
    } else {
        memmove(c->kept[0], c->kept[1], sizeof c->kept - sizeof c->kept[0]);
        keep(c, CALORIMETER_ROWS - 2, c->sum);
    }
    memset(c->sum, 0, sizeof c->sum);
    memset(c->count, 0, sizeof c->count);
    c->filled = 0;
}

static uint32_t steps(const struct calorimeter *c) {
    return c->rows * c->block + c->filled;
}

// What the window read before the learning rate jumped.
static void keep_before(struct calorimeter *c) {
    struct calorimeter_group groups[CALORIMETER_ROWS];
    size_t n = calorimeter_groups(c, groups);
    struct calorimeter_mean energy = calorimeter_mean(groups, n, CALORIMETER_ENERGY);
    struct calorimeter_mean kinetic = calorimeter_mean(groups, n, CALORIMETER_KINETIC);
    bool known = steps(c) >= CALORIMETER_STEPS && energy.groups >= CALORIMETER_GROUPS_MIN &&
                 kinetic.groups >= CALORIMETER_GROUPS_MIN && !calorimeter_has_trend(groups, n);
    c->before_energy = known ? c->origin + energy.value : num_missing();
    c->before_kinetic = known ? kinetic.value : num_missing();
    c->before_energy_error = known ? (float)energy.error : 0;
    c->before_kinetic_error = known ? (float)kinetic.error : 0;
}

static void watch_rate(struct calorimeter *c, double eta) {
    if (!(eta > 0)) {
        return;
    }
    if (eta > JUMP * c->eta || c->eta > JUMP * eta) {
        keep_before(c);
        begin_anew(c);
        c->since = 0;
    } else if (c->since <= CALORIMETER_LASTS) {
        c->since++;
        if (c->since == CALORIMETER_SETTLE && !isnan(c->before_energy)) {
            begin_anew(c);
        }
    }
    c->eta = eta;
}

static void add(struct calorimeter *c, enum calorimeter_column column, double x) {
    if (isfinite(x)) {
        c->sum[column] += x;
        c->count[column]++;
    }
}

void calorimeter_observe(struct calorimeter *c, const struct calorimeter_step *s) {
    watch_rate(c, s->eta);
    if (s->anew) {
        begin_anew(c);
    }
    if (isnan(c->origin)) {
        c->origin = s->loss;
    }
    double energy = s->loss - c->origin;
    add(c, CALORIMETER_ENERGY, energy);
    double step = energy - c->previous;
    add(c, CALORIMETER_QUIET, s->dt <= 1 ? energy * energy - step * step / 2 : num_missing());
    add(c, CALORIMETER_KINETIC, s->kinetic);
    add(c, CALORIMETER_WORK, s->work);
    add(c, CALORIMETER_CHANGE, isnan(s->work) ? num_missing() : c->change * s->dt);
    c->previous = energy;
    c->change = s->loss_after - s->loss;
    c->filled++;
    if (c->filled >= c->block) {
        complete_block(c, s->block_limit);
    }
}

void calorimeter_pass(struct calorimeter *c) {
    c->previous = c->change = num_missing();
}

bool calorimeter_is_valid(const struct calorimeter *c) {
    return c->rows < CALORIMETER_ROWS && c->block >= 1 && c->block <= LEDGER_BLOCK_MAX &&
           c->filled < c->block;
}

static void add_part(const struct calorimeter *c, size_t part, struct calorimeter_group *group,
                     double weight[CALORIMETER_COLUMNS]) {
    double n = part < c->rows ? c->block : c->filled;
    for (size_t i = 0; i < CALORIMETER_COLUMNS; i++) {
        double x = part < c->rows ? row(c, part, i) : average(c->sum[i], c->count[i]);
        group->mean[i] += isnan(x) ? 0 : n * x;
        weight[i] += isnan(x) ? 0 : n;
    }
    group->middle += n * ((double)part * c->block + n / 2);
    group->steps += n;
}

// The block being filled belongs to the group before it until it is half full.
size_t calorimeter_groups(const struct calorimeter *c,
                          struct calorimeter_group groups[CALORIMETER_ROWS]) {
    size_t parts = c->rows + (c->filled > 0 ? 1 : 0);
    bool joined = c->rows > 0 && c->filled > 0 && 2 * c->filled < c->block;
    size_t n = joined ? c->rows : parts;
    memset(groups, 0, CALORIMETER_ROWS * sizeof *groups);
    for (size_t g = 0; g < n; g++) {
        double weight[CALORIMETER_COLUMNS] = {0};
        add_part(c, g, &groups[g], weight);
        if (joined && g + 1 == n) {
            add_part(c, g + 1, &groups[g], weight);
        }
        for (size_t i = 0; i < CALORIMETER_COLUMNS; i++) {
            groups[g].mean[i] = average(groups[g].mean[i], weight[i]);
        }
        groups[g].middle /= groups[g].steps;
    }
    return n;
}

struct calorimeter_mean calorimeter_mean(const struct calorimeter_group *groups, size_t n,
                                         enum calorimeter_column column) {
    double sum = 0, all = 0, squares = 0;
    unsigned used = 0;
    for (size_t g = 0; g < n; g++) {
        bool measured = !isnan(groups[g].mean[column]);
        sum += measured ? groups[g].steps * groups[g].mean[column] : 0;
        all += measured ? groups[g].steps : 0;
        used += measured;
    }
    double mean = average(sum, all);
    for (size_t g = 0; g < n; g++) {
        double off = groups[g].mean[column] - mean;
        squares += isnan(off) ? 0 : groups[g].steps / all * off * off;
    }
    double error = used > 1 ? sqrt(squares / (used - 1)) : num_missing();
    return (struct calorimeter_mean){mean, error, used};
}

bool calorimeter_has_trend(const struct calorimeter_group *groups, size_t n) {
    double x[CALORIMETER_ROWS] = {0}, y[CALORIMETER_ROWS] = {0}, slope, level, squares = 0,
           spread = 0;
    size_t m = 0;
    for (size_t g = 0; g < n; g++) {
        if (!isnan(groups[g].mean[CALORIMETER_ENERGY])) {
            x[m] = groups[g].middle;
            y[m++] = groups[g].mean[CALORIMETER_ENERGY];
        }
    }
    if (m < CALORIMETER_GROUPS_MIN || !slope_least_squares(x, y, m, &slope, &level)) {
        return false;
    }
    double middle = 0;
    for (size_t i = 0; i < m; i++) {
        middle += x[i] / (double)m;
        double off = y[i] - level - slope * x[i];
        squares += off * off;
    }
    for (size_t i = 0; i < m; i++) {
        spread += (x[i] - middle) * (x[i] - middle);
    }
    double error = sqrt(squares / (double)(m - 2) / spread);
    double few = student_t975((unsigned)m - 2) / NORMAL_975;
    return fabs(slope) > 0 && fabs(slope) >= TREND_ERRORS * few * error;
}

bool calorimeter_compares(const struct calorimeter *c) {
    return !isnan(c->before_energy) && c->since >= CALORIMETER_SETTLE + CALORIMETER_STEPS &&
           c->since <= CALORIMETER_LASTS;
}
