// The second law as a check: entropy production, nats a step, over the window: what the weights'
// own entropy changes by, and what the heat they give away adds to their surroundings,
// dS - g.dw / T with T the kinetic temperature [D]. It is never negative; far above zero while a
// run descends, 2 n / (1 + mu) a step and less for SGD that rests in its noise.
//
// For SGD, plain or heavy ball, without weight decay a production that is negative beyond its
// interval means that the statistics are wrong, and the note says so. Elsewhere the kinetic
// temperature is a scale only and weight decay takes entropy out unseen: no judgement.
#include "probes/calorimeter.h"
#include "probes/entropy.h"
#include "probes/instrument.h"
#include "probes/jackknife.h"
#include "probes/slope.h"

#include <math.h>

#define BROKEN                                                                                     \
    "broken: entropy is destroyed that no heat pays for; gu, lr or w_var are not those of the "    \
    "steps taken"

enum { S, E, K, COLUMNS };

// The slopes a step of entropy and of a layer's share of the work, and the kinetic energy, over the
// groups but one. For the whole run (`work` a step is known) the energy's is not used.
static bool production(const struct ledger_group *groups, size_t n, size_t skip, double scale,
                       double work, double *value) {
    double x[LEDGER_ROWS] = {0}, s[LEDGER_ROWS] = {0}, e[LEDGER_ROWS] = {0}, slope_s,
           slope_e = work, level;
    double kinetic = 0, steps = 0;
    size_t m = 0;
    for (size_t g = 0; g < n; g++) {
        if (g != skip) {
            x[m] = groups[g].middle;
            s[m] = groups[g].sum[S] / groups[g].steps;
            e[m++] = groups[g].sum[E] / groups[g].steps;
            kinetic += groups[g].sum[K];
            steps += groups[g].steps;
        }
    }
    if (!slope_least_squares(x, s, m, &slope_s, &level) || !(kinetic > 0) ||
        (isnan(work) && !slope_least_squares(x, e, m, &slope_e, &level))) {
        return false;
    }
    *value = slope_s - slope_e / (scale * kinetic / steps);
    return isfinite(*value);
}

static void add_interval(const struct ledger_group *groups, size_t n, double scale, double work,
                         double extra, struct reading *r) {
    double left_out[LEDGER_ROWS];
    if (n < LEDGER_GROUPS_MIN) {
        r->no_interval = NO_INTERVAL_BLOCKS;
        return;
    }
    for (size_t g = 0; g < n; g++) {
        if (!production(groups, n, g, scale, work, &left_out[g])) {
            r->no_interval = NO_INTERVAL_UNBOUNDED;
            return;
        }
    }
    double error = jackknife_error(left_out, n);
    reading_around(r, student_t975((unsigned)n - 1) * hypot(error, extra));
}

static const char *why_none(const struct view *v) {
    static const unsigned needs[] = {STAT_W_VAR, NEED_WORK, STAT_U_VAR, STAT_U_MEAN, NEED_LR};
    if (v->n < ENTROPY_SIZE_MIN) {
        return "needs at least 8 parameters";
    }
    if (body_is_frozen(v->body)) {
        return REASON_FROZEN;
    }
    if (!v->whole && v->body->variance <= 0) {
        return REASON_COLLAPSED;
    }
    return sample_missing(v->body->seen, needs, 5);
}

void entropy_production_read(const struct view *v, struct reading *r) {
    static const enum column layer[] = {COLUMN_ENTROPY, COLUMN_ENERGY, COLUMN_KINETIC};
    static const enum column whole[] = {COLUMN_ENTROPY, COLUMN_ENTROPY, COLUMN_KINETIC};
    struct ledger_group groups[LEDGER_ROWS];
    size_t n = ledger_together(&v->body->ledger, v->whole ? whole : layer, COLUMNS, groups);
    double scale = kinetic_scale(v->run), work = num_missing(), extra = 0, kinetic, value;
    bool known = body_works(v->body) && !body_is_frozen(v->body);
    if (v->whole) {
        struct calorimeter_group mean[CALORIMETER_ROWS];
        size_t n_mean = calorimeter_groups(&v->run->calorimeter, mean);
        struct calorimeter_mean w = calorimeter_mean(mean, n_mean, CALORIMETER_WORK);
        work = w.value;
        known = known && !isnan(work) &&
                ledger_ratio(&v->body->ledger, COLUMN_KINETIC, COLUMN_NONE, &kinetic);
        extra = known && kinetic > 0 && w.groups > 1 ? w.error / (scale * kinetic) : 0;
    }
    if (!known || !production(groups, n, n, scale, work, &value)) {
        reading_none(r, why_none(v));
        return;
    }
    reading_value(r, value);
    if (v->interval) {
        add_interval(groups, n, scale, work, extra, r);
        bool broken = r->has_interval && r->high < 0 && equilibrium_is_exact(v->run);
        r->note = broken ? BROKEN : NULL;
    }
}
