#include "probes/stationary.h"

#include "probes/coherence.h"

#include <math.h>

#define BALANCE_ERRORS 4.5 // a telescoping sum beyond that does not stay bounded
#define FREEDOM_MAX 1e6    // as good as infinite
#define EDGES 8 // variances of a single step's w.dw/eta that the edges of a group may have

// Sums over groups of steps, oldest first.
struct sums {
    size_t n;
    double of[LEDGER_ROWS];
};

static bool take(const struct view *v, enum column c, struct sums *s) {
    s->n = ledger_groups(&v->body->ledger, c, s->of);
    bool measured = s->n >= LEDGER_GROUPS_MIN;
    for (size_t g = 0; g < s->n; g++) {
        measured = measured && !isnan(s->of[g]);
    }
    return measured;
}

static double total(const struct sums *s) {
    double sum = 0;
    for (size_t g = 0; g < s->n; g++) {
        sum += s->of[g];
    }
    return sum;
}

// Variances of a sum over the window, with their degrees of freedom; they add as Welch and
// Satterthwaite say.
struct error {
    double variance, freedom;
};

static struct error add_errors(struct error a, struct error b) {
    double variance = a.variance + b.variance;
    if (!(variance > 0)) {
        return (struct error){variance, a.freedom};
    }
    // By shares: squares of variances may overflow.
    double share_a = a.variance / variance, share_b = b.variance / variance;
    double parts = share_a * share_a / a.freedom + share_b * share_b / b.freedom;
    return (struct error){variance, parts > 0 ? 1 / parts : FREEDOM_MAX};
}

// Of steps between independent b_0 ... b_n the sum is b_n - b_0, as uncertain as one step. The 95%
// quantile of |b_n - b_0| over the steps' root mean square is Student's with n + 2 degrees of
// freedom, within 1% (simulated): the first and the last step know the ends.
static bool telescoping(const struct sums *s, struct error *e) {
    double squares = 0, sum = total(s);
    for (size_t g = 0; g < s->n; g++) {
        squares += s->of[g] * s->of[g];
    }
    *e = (struct error){squares / (double)s->n, (double)s->n + 2};
    return sum * sum <= BALANCE_ERRORS * BALANCE_ERRORS * e->variance;
}

static double group_variance(const struct sums *s, const struct sums *steps) {
    double rate = total(s) / total(steps), squares = 0;
    for (size_t g = 0; g < s->n; g++) {
        double off = s->of[g] - rate * steps->of[g];
        squares += off * off;
    }
    return squares / (double)(s->n - 1);
}

// Of independent groups.
static struct error adding_up(double variance, size_t groups) {
    return (struct error){variance * (double)groups, (double)groups - 1};
}

static struct uncertainty uncertainty_of(struct error e, double scale) {
    // Rounding must not take a whole degree away; of what overflowed the error is not finite.
    double freedom = fmin(e.freedom + 1e-6, FREEDOM_MAX);
    return (struct uncertainty){sqrt(e.variance) * fabs(scale), (unsigned)freedom};
}

// What the window holds for the identity of SGD.
struct virial {
    struct sums steps, virial, kinetic, weight2, update2, climb; // climb: (1 - mu)/2 climb/eta
};

static bool take_virial(const struct view *v, struct virial *w) {
    struct virial none = {0};
    *w = none;
    bool all = take(v, COLUMN_NONE, &w->steps) && take(v, COLUMN_GW, &w->virial) &&
               take(v, COLUMN_KINETIC, &w->kinetic) && take(v, COLUMN_WEIGHT2, &w->weight2) &&
               take(v, COLUMN_UPDATE2, &w->update2) && take(v, COLUMN_CLIMB, &w->climb);
    for (size_t g = 0; all && g < w->climb.n; g++) {
        all = w->kinetic.of[g] > 0 && w->update2.of[g] > 0;
        double eta = all ? w->update2.of[g] / w->kinetic.of[g] : 1;
        w->climb.of[g] *= (1 - coherence_memory(v->run)) / 2 / eta;
    }
    return all;
}

static void add_sums(struct sums *s, double factor, const struct sums *other) {
    for (size_t g = 0; g < s->n; g++) {
        s->of[g] += factor * other->of[g];
    }
}

bool stationary_virial(const struct view *v, struct uncertainty *out) {
    struct virial w;
    struct error bounded;
    if (!take_virial(v, &w) || !telescoping(&w.climb, &bounded)) {
        return false;
    }
    add_sums(&w.virial, 1, &w.climb);
    struct error rest = adding_up(group_variance(&w.virial, &w.steps), w.steps.n);
    *out = uncertainty_of(add_errors(bounded, rest), 1 / total(&w.steps));
    return true;
}

// The variance of a group's w.dw/eta at its two ends, or more, on the scale of sums.
static double edge_variance(const struct view *v, const struct virial *w) {
    double steps = total(&w->steps), kinetic = total(&w->kinetic) / steps;
    double update2 = total(&w->update2) / steps, weight2 = total(&w->weight2) / steps;
    return EDGES * weight2 * kinetic * kinetic / update2 / v->n;
}

bool stationary_equilibrium(const struct view *v, struct uncertainty *out) {
    struct virial w;
    struct error bounded;
    double expected = (1 + coherence_memory(v->run)) / 2;
    if (!take_virial(v, &w) || !telescoping(&w.climb, &bounded)) {
        return false;
    }
    add_sums(&w.virial, -expected, &w.kinetic);
    bool balanced = telescoping(&w.virial, &bounded);
    add_sums(&w.virial, 1, &w.climb);
    // What is more than edges adds up; it is in the groups' sums too.
    double grows = fmax(0, group_variance(&w.virial, &w.steps) - edge_variance(v, &w));
    bounded.variance = fmax(0, bounded.variance - grows);
    struct error all = add_errors(bounded, adding_up(grows, w.steps.n));
    *out = uncertainty_of(all, 1 / (expected * total(&w.kinetic)));
    return balanced;
}

bool stationary_drift(const struct view *v, struct uncertainty *out) {
    struct sums climb, path;
    struct error bounded;
    if (!take(v, COLUMN_CLIMB, &climb) || !take(v, COLUMN_PATH, &path) ||
        !telescoping(&climb, &bounded) || !(total(&path) > 0)) {
        return false;
    }
    *out = uncertainty_of(bounded, 1 / total(&path));
    return true;
}
