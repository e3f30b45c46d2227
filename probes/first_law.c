// The first law as a check: the measured change of the energy over the layers' work, sum g.dw, in
// the window [D]. What the layers say they gave must be what the loss shows.
//
//   loss_after    <loss_after - loss> / <sum g.dw> on the same batches: 1 but for the curvature,
//                 1 - eta h / 2 for plain SGD along a curvature h
//   loss          the loss's trend over <sum g.dw>: between 0 and 1, the retention of the window,
//                 since work on one batch is not all kept on the next; below 0 where the loss rises
//
// More than 1, or work of the wrong sign, is no state of a run: then the statistics are wrong, and
// the note says so.
#include "probes/calorimeter.h"
#include "probes/instrument.h"
#include "probes/jackknife.h"
#include "probes/slope.h"

#include <math.h>

#define TOLERANCE 1.1

#define BROKEN_MORE                                                                                \
    "broken: the loss changes by more than the layers' work accounts for; gu is too small, or "    \
    "layers are missing"
#define BROKEN_SIGN                                                                                \
    "broken: the layers' work and the loss of the same batches go opposite ways; gu has the "      \
    "wrong "                                                                                       \
    "sign or belongs to other steps, or the steps overshoot"
#define BROKEN_UPHILL                                                                              \
    "broken: by gu the steps raise the loss of the batches they saw; it has the wrong sign or "    \
    "belongs to other steps"

// Over the groups but one; `column` is what measures the change.
static bool balance(const struct calorimeter_group *groups, size_t n, size_t skip, bool same_batch,
                    double *value) {
    double x[CALORIMETER_ROWS] = {0}, y[CALORIMETER_ROWS] = {0}, change = 0, work = 0, steps = 0,
           level;
    size_t m = 0;
    for (size_t g = 0; g < n; g++) {
        if (g == skip) {
            continue;
        }
        x[m] = groups[g].middle;
        y[m++] = groups[g].mean[CALORIMETER_ENERGY];
        change += groups[g].steps * groups[g].mean[CALORIMETER_CHANGE];
        work += groups[g].steps * groups[g].mean[CALORIMETER_WORK];
        steps += groups[g].steps;
    }
    if (!(steps > 0) || !(fabs(work) > 0)) {
        return false;
    }
    if (!same_batch) {
        if (!slope_least_squares(x, y, m, &change, &level)) {
            return false;
        }
        change *= steps;
    }
    *value = change / work;
    return isfinite(*value);
}

static const char *judge(const struct reading *r, bool same_batch,
                         const struct calorimeter_mean *work) {
    if (!r->has_interval) {
        return NULL;
    }
    double few = student_t975(work->groups - 1);
    if (!same_batch && work->value - few * work->error > 0) {
        return BROKEN_UPHILL;
    }
    if (r->low > TOLERANCE) {
        return BROKEN_MORE;
    }
    return same_batch && r->high < 0 ? BROKEN_SIGN : NULL;
}

static size_t usable(const struct calorimeter_group *all, size_t n_all, bool same_batch,
                     struct calorimeter_group *groups) {
    size_t n = 0;
    for (size_t g = 0; g < n_all; g++) {
        double needed =
            same_batch ? all[g].mean[CALORIMETER_CHANGE] : all[g].mean[CALORIMETER_ENERGY];
        if (!isnan(needed) && !isnan(all[g].mean[CALORIMETER_WORK])) {
            groups[n++] = all[g];
        }
    }
    return n;
}

static void add_interval(const struct calorimeter_group *groups, size_t n, bool same_batch,
                         struct reading *r) {
    double left_out[CALORIMETER_ROWS];
    if (n < CALORIMETER_GROUPS_MIN) {
        r->no_interval = NO_INTERVAL_BLOCKS;
        return;
    }
    for (size_t g = 0; g < n; g++) {
        if (!balance(groups, n, g, same_batch, &left_out[g])) {
            r->no_interval = NO_INTERVAL_UNBOUNDED;
            return;
        }
    }
    reading_around(r, student_t975((unsigned)n - 1) * jackknife_error(left_out, n));
}

void first_law_read(const struct view *v, struct reading *r) {
    struct calorimeter_group all[CALORIMETER_ROWS], groups[CALORIMETER_ROWS];
    size_t n_all = calorimeter_groups(&v->run->calorimeter, all);
    size_t n = usable(all, n_all, true, groups);
    bool same_batch = n > 0;
    double value;
    if (!same_batch) {
        n = usable(all, n_all, false, groups);
    }
    if (!v->whole) {
        reading_none(r, REASON_WHOLE_RUN);
    } else if (!body_works(v->body)) {
        reading_none(r, "needs gu");
    } else if (n == 0) {
        reading_none(r, isnan(v->run->loss) ? "needs loss" : REASON_STEPS);
    } else if (!balance(groups, n, n, same_batch, &value)) {
        reading_none(r, n < 2 ? REASON_STEPS : "undefined: the steps did no work");
    } else {
        struct calorimeter_mean work = calorimeter_mean(groups, n, CALORIMETER_WORK);
        reading_value(r, value);
        r->source = same_batch ? "loss_after" : "loss";
        if (v->interval) {
            add_interval(groups, n, same_batch, r);
            r->note = judge(r, same_batch, &work);
        }
    }
}
