// The differential temperature T = dE/dS, loss units per nat: the least-squares slope of energy on
// entropy over the blocks of the window, with the delete-a-block jackknife's interval. The noise is
// in the energy; the entropy is nearly exact. A layer's energy is its share of the work.
#include "probes/entropy.h"
#include "probes/instrument.h"
#include "probes/jackknife.h"
#include "probes/slope.h"

#include <math.h>

#define BLOCKS_MIN 3

static bool is_resolved(const double *s, size_t n, double size) {
    double low = s[0], high = s[0];
    for (size_t i = 1; i < n; i++) {
        low = fmin(low, s[i]);
        high = fmax(high, s[i]);
    }
    return high - low >= entropy_resolution(size);
}

static bool slope_without(const double *s, const double *e, size_t n, size_t skip, double *slope) {
    double xs[LEDGER_ROWS], ys[LEDGER_ROWS], intercept;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (i != skip) {
            xs[m] = s[i];
            ys[m++] = e[i];
        }
    }
    return slope_least_squares(xs, ys, m, slope, &intercept) && isfinite(*slope);
}

static void add_interval(const double *s, const double *e, size_t n, struct reading *r) {
    double left_out[LEDGER_ROWS];
    if (n < LEDGER_GROUPS_MIN) {
        r->no_interval = NO_INTERVAL_BLOCKS;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!slope_without(s, e, n, i, &left_out[i])) {
            r->no_interval = NO_INTERVAL_UNBOUNDED;
            return;
        }
    }
    reading_around(r, student_t975((unsigned)n - 1) * jackknife_error(left_out, n));
}

void read_missing_energy_or_entropy(const struct view *v, struct reading *r) {
    if (!v->whole && v->n < ENTROPY_SIZE_MIN) {
        reading_none(r, "needs at least 8 parameters");
    } else if (!v->whole && v->body->variance <= 0) {
        reading_none(r, REASON_COLLAPSED);
    } else if (v->whole) {
        read_missing(v, r, NEED_LOSS, STAT_W_VAR);
    } else {
        read_missing(v, r, NEED_WORK, STAT_W_VAR);
    }
}

void differential_read(const struct view *v, struct reading *r) {
    double s[LEDGER_ROWS], e[LEDGER_ROWS], slope;
    double size = v->whole ? v->run->entropy_size : v->n;
    size_t n = ledger_pairs(&v->body->ledger, COLUMN_ENTROPY, COLUMN_ENERGY, s, e);
    if (n < BLOCKS_MIN) {
        read_missing_energy_or_entropy(v, r);
    } else if (!is_resolved(s, n, size) || !slope_without(s, e, n, n, &slope)) {
        reading_none(r, REASON_UNRESOLVED);
    } else {
        reading_value(r, slope);
        if (v->interval) {
            add_interval(s, e, n, r);
        }
    }
}
