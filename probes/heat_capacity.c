// Heat capacity C = dE/dT of the whole run, in units of k_B: half the number of degrees of freedom
// that are in contact with the noise, on a quadratic. Two ways to it, with T the kinetic
// temperature:
//
//   fluctuation   C = Var(E) / T^2, over a window in which the loss has no trend [M]. The noise of
//                 the batches is not the weights' and is taken off: what is used is
//                 Var(E) - <(E_k+1 - E_k)^2>/2 = Cov(E_k, E_k+1) [D]. Modes that forget within a
//                 few steps, or not within the window, are missed.
//   calorimetry   C = (E_1 - E_2) / (T_1 - T_2) across a jump of the learning rate, from a window
//                 without trend before it to one behind it, the first 64 steps left out [M]
//
// The second is read for as long as it stands (2,048 steps behind the jump), since it asks for
// nothing about the noise. Layers have no loss of their own.
#include "probes/calorimeter.h"
#include "probes/fieller.h"
#include "probes/instrument.h"
#include "probes/jackknife.h"

#include <math.h>

#define TREND "indeterminate: the loss has a trend, and a heat capacity takes a steady one"

struct sums {
    double energy, quiet, kinetic, steps;
};

static struct sums sum_without(const struct calorimeter_group *groups, size_t n, size_t skip) {
    struct sums s = {0};
    for (size_t g = 0; g < n; g++) {
        if (g != skip) {
            s.energy += groups[g].steps * groups[g].mean[CALORIMETER_ENERGY];
            s.quiet += groups[g].steps * groups[g].mean[CALORIMETER_QUIET];
            s.kinetic += groups[g].steps * groups[g].mean[CALORIMETER_KINETIC];
            s.steps += groups[g].steps;
        }
    }
    return s;
}

static bool capacity(const struct sums *s, double scale, double *value) {
    double energy = s->energy / s->steps, t = scale * s->kinetic / s->steps;
    double variance = s->quiet / s->steps - energy * energy;
    if (!(t > 0)) {
        return false;
    }
    *value = variance / t / t; // t^2 may be too small for a number
    return isfinite(*value);
}

static void by_fluctuation(const struct view *v, const struct calorimeter_group *all, size_t n_all,
                           struct reading *r) {
    struct calorimeter_group groups[CALORIMETER_ROWS];
    double left_out[CALORIMETER_ROWS], value, scale = kinetic_scale(v->run);
    size_t n = 0;
    for (size_t g = 0; g < n_all; g++) {
        if (!isnan(all[g].mean[CALORIMETER_QUIET] + all[g].mean[CALORIMETER_KINETIC])) {
            groups[n++] = all[g];
        }
    }
    struct sums s = sum_without(groups, n, n);
    if (n < CALORIMETER_GROUPS_MIN) {
        read_missing(v, r, NEED_NEIGHBOUR);
    } else if (!capacity(&s, scale, &value)) {
        reading_none(r, REASON_FROZEN);
    } else {
        reading_value(r, value);
        for (size_t g = 0; v->interval && g < n; g++) {
            struct sums rest = sum_without(groups, n, g);
            if (!capacity(&rest, scale, &left_out[g])) {
                r->no_interval = NO_INTERVAL_UNBOUNDED;
                return;
            }
        }
        if (v->interval) {
            reading_around(r, student_t975((unsigned)n - 1) * jackknife_error(left_out, n));
        }
    }
}

static bool by_calorimetry(const struct view *v, const struct calorimeter_group *groups, size_t n,
                           struct reading *r) {
    const struct calorimeter *c = &v->run->calorimeter;
    struct calorimeter_mean energy = calorimeter_mean(groups, n, CALORIMETER_ENERGY);
    struct calorimeter_mean kinetic = calorimeter_mean(groups, n, CALORIMETER_KINETIC);
    if (!calorimeter_compares(c) || energy.groups < CALORIMETER_GROUPS_MIN ||
        kinetic.groups < CALORIMETER_GROUPS_MIN) {
        return false;
    }
    double scale = kinetic_scale(v->run);
    double de = c->before_energy - c->origin - energy.value;
    double dt = scale * (c->before_kinetic - kinetic.value);
    if (!isfinite(de / dt)) {
        return false;
    }
    reading_value(r, de / dt);
    if (v->interval) {
        double few = student_t975(energy.groups - 1) / NORMAL_975, low, high;
        double se_e = few * hypot((double)c->before_energy_error, energy.error);
        double se_t = few * scale * hypot((double)c->before_kinetic_error, kinetic.error);
        if (fieller_interval(de, se_e, dt, se_t, 0, &low, &high)) {
            reading_interval(r, fmin(low, r->value), fmax(high, r->value));
        } else {
            r->no_interval = NO_INTERVAL_UNBOUNDED;
        }
    }
    r->source = "calorimetry";
    return true;
}

void heat_capacity_read(const struct view *v, struct reading *r) {
    struct calorimeter_group groups[CALORIMETER_ROWS];
    size_t n = calorimeter_groups(&v->run->calorimeter, groups);
    double kinetic;
    if (!v->whole) {
        reading_none(r, REASON_WHOLE_RUN);
    } else if (isnan(v->run->loss)) {
        reading_none(r, "needs loss");
    } else if (!ledger_ratio(&v->body->ledger, COLUMN_KINETIC, COLUMN_NONE, &kinetic)) {
        read_missing(v, r, STAT_U_VAR, STAT_U_MEAN, NEED_LR);
    } else if (calorimeter_has_trend(groups, n)) {
        reading_none(r, TREND);
    } else if (!by_calorimetry(v, groups, n, r)) {
        by_fluctuation(v, groups, n, r);
        r->source = r->reason ? NULL : "fluctuation";
    }
}
