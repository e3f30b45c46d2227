// The differential temperature T = dE/dS, loss units per nat: the least-squares slope of energy on
// entropy over the window. The noise is in the energy; the entropy is nearly exact.
//
// Of the whole run it is read from the course's blocks (course.h). What is estimated is the slope
// of the least-squares line through the window as it would be without noise, so the interval
// comes from the noise around a smooth course in time and not from what the course curves away from
// the line. With x the entropy and r the curve's distance from the line, both about their means,
// the noise e of E - T S and d of S move the slope by sum(x e + r d) / sum(x^2). Their variances
// are taken point by point, since noise may change along the window. One point far outside the
// others' noise, a spike of the loss, would turn the line: then Theil and Sen's slope is taken. [D]
//
// A layer's energy is its share of the work; its slope goes through the ledger's few blocks and has
// no interval: the work's noise adds up from block to block, so that neither the scatter around the
// line nor the delete-a-block jackknife, which take blocks for independent, tells it from a course
// that curves (on Boltzmann ensembles the jackknife's was 2 to 28 times too wide). [D]
#include "probes/course.h"
#include "probes/entropy.h"
#include "probes/instrument.h"
#include "probes/slope.h"
#include "probes/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MIN 3
#define INTERVAL_POINTS_MIN 12
#define POINTS_A_DEGREE 8    // of the smooth course
#define LEVERAGE_POWER 0.625 // of 1 - leverage: between the two usual corrections of residuals
#define CORRELATION_MAX 0.5  // of neighbouring points' noise, beyond which the course hides it
#define NEGLIGIBLE 1e-3      // relative errors below it are told even so
#define SPIKE 8              // standard deviations, from the median's, that make a point a spike
#define SPIKE_ALONE 5        // and so many times the size that a tenth of the points exceed

static bool is_resolved(const double *s, size_t n, double size) {
    double low = s[0], high = s[0];
    for (size_t i = 1; i < n; i++) {
        low = fmin(low, s[i]);
        high = fmax(high, s[i]);
    }
    return high - low >= entropy_resolution(size);
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

// --- the whole run ---

// The noise around the smooth course, and what of the course is not the line.
struct scatter {
    size_t n;
    double energy[COURSE_BLOCKS];  // of E - T S
    double entropy[COURSE_BLOCKS]; // of S
    double curve[COURSE_BLOCKS];   // of the smooth E - T S about its mean
    struct trend trend;
};

static void scatter_of(const struct course_points *p, double slope, struct scatter *sc) {
    double mean = 0;
    sc->n = p->n;
    size_t degree = p->n / POINTS_A_DEGREE;
    trend_begin(&sc->trend, p->time, p->n,
                (unsigned)(degree < TREND_DEGREE_MAX ? degree : TREND_DEGREE_MAX));
    for (size_t i = 0; i < p->n; i++) {
        sc->curve[i] = p->energy[i] - slope * (p->entropy[i] - p->entropy[0]);
        mean += sc->curve[i] / (double)p->n;
    }
    trend_remove(&sc->trend, sc->curve, sc->energy);
    trend_remove(&sc->trend, p->entropy, sc->entropy);
    for (size_t i = 0; i < p->n; i++) {
        sc->curve[i] -= sc->energy[i] + mean;
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool has_spike(const struct scatter *sc) {
    double sizes[COURSE_BLOCKS] = {0};
    for (size_t i = 0; i < sc->n; i++) {
        sizes[i] = fabs(sc->energy[i]);
    }
    qsort(sizes, sc->n, sizeof *sizes, by_value);
    double deviation = sizes[sc->n / 2] / 0.6744897501960817;
    double largest = sizes[sc->n - 1], tenth = sizes[sc->n - 1 - sc->n / 10];
    return deviation > 0 && largest > SPIKE * deviation && largest > SPIKE_ALONE * tenth;
}

static void add_interval(const struct course_points *p, const struct scatter *sc,
                         struct reading *r) {
    double moved[COURSE_BLOCKS], mean = 0, spread = 0, squares = 0, fourth = 0;
    for (size_t i = 0; i < p->n; i++) {
        mean += p->entropy[i] / (double)p->n;
    }
    for (size_t i = 0; i < p->n; i++) {
        double x = p->entropy[i] - mean, kept = fmax(1 - sc->trend.leverage[i], 1e-3);
        moved[i] = (x * sc->energy[i] + sc->curve[i] * sc->entropy[i]) / pow(kept, LEVERAGE_POWER);
        spread += x * x;
        squares += moved[i] * moved[i];
        fourth += moved[i] * moved[i] * moved[i] * moved[i];
    }
    double c = trend_correlation(&sc->trend, sc->energy);
    double error = sqrt(squares * (1 + c) / (1 - c)) / spread;
    if (c > CORRELATION_MAX && !(error <= NEGLIGIBLE * fabs(r->value))) {
        r->no_interval =
            "indeterminate: the noise lasts as long as the course it should be told from";
        return;
    }
    // Satterthwaite's, from the kurtosis of what moves the slope; fewer where neighbours agree.
    double freedom = fourth > 0 ? 3 * squares * squares / fourth - 2 : HUGE_VAL;
    freedom = fmin(freedom, (double)(p->n - sc->trend.terms)) * (1 - c * c) / (1 + c * c);
    reading_around(r, student_t975((unsigned)fmax(freedom, 2)) * error);
}

// Sen's ranks take points for independent; that they are not widens them.
static void read_robust(const struct course_points *p, const struct scatter *sc, double size,
                        bool interval, struct reading *r) {
    struct theil_sen robust;
    double c = trend_correlation(&sc->trend, sc->energy);
    if (!slope_theil_sen(p->entropy, p->energy, p->n, entropy_resolution(size), &robust)) {
        return;
    }
    r->value = robust.slope;
    if (interval) {
        double wide = sqrt((1 + c) / (1 - c));
        reading_interval(r, robust.slope - wide * (robust.slope - robust.low),
                         robust.slope + wide * (robust.high - robust.slope));
    }
}

static void read_whole(const struct view *v, struct reading *r) {
    struct course_points p;
    struct scatter sc;
    double slope, intercept;
    course_points(&v->run->course, &p);
    if (p.n < POINTS_MIN) {
        read_missing_energy_or_entropy(v, r);
        return;
    }
    if (!is_resolved(p.entropy, p.n, v->run->entropy_size) ||
        !slope_least_squares(p.entropy, p.energy, p.n, &slope, &intercept) || !isfinite(slope)) {
        reading_none(r, REASON_UNRESOLVED);
        return;
    }
    reading_value(r, slope);
    r->steps = p.steps;
    if (p.n < INTERVAL_POINTS_MIN) {
        r->no_interval = "needs more steps: an interval takes twelve";
        return;
    }
    scatter_of(&p, slope, &sc);
    if (has_spike(&sc)) {
        read_robust(&p, &sc, v->run->entropy_size, v->interval, r);
    } else if (v->interval) {
        add_interval(&p, &sc, r);
    }
}

// --- a layer ---

static void read_layer(const struct view *v, struct reading *r) {
    double s[LEDGER_ROWS], e[LEDGER_ROWS], slope, intercept;
    size_t n = ledger_pairs(&v->body->ledger, COLUMN_ENTROPY, COLUMN_ENERGY, s, e);
    if (n < POINTS_MIN) {
        read_missing_energy_or_entropy(v, r);
    } else if (!is_resolved(s, n, v->n) || !slope_least_squares(s, e, n, &slope, &intercept) ||
               !isfinite(slope)) {
        reading_none(r, REASON_UNRESOLVED);
    } else {
        reading_value(r, slope);
        r->steps = ledger_steps(&v->body->ledger);
        r->no_interval = NO_INTERVAL_COURSE;
    }
}

void differential_read(const struct view *v, struct reading *r) {
    if (v->whole) {
        read_whole(v, r);
    } else {
        read_layer(v, r);
    }
}
