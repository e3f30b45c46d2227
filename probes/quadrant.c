// The quadrant of (dE, dS) over the window, always well defined: condensing,
// spontaneous, heating or quenching. The changes are those of straight lines through the blocks'
// averages. A quadrant is declared only when the energy's change is at least three standard errors,
// widened as Student's t widens for so few blocks, and the entropy's can be resolved;
// otherwise quasi-static.
#include "probes/entropy.h"
#include "probes/instrument.h"
#include "probes/slope.h"

#include <math.h>

#define STANDARD_ERRORS 3

struct trend {
    double change, error; // over the whole window
};

static struct trend trend_of(const double *y, size_t n) {
    double x[LEDGER_ROWS] = {0}, slope = 0, level = 0, squares = 0, spread = 0;
    double middle = (double)(n - 1) / 2;
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)i - middle;
        spread += x[i] * x[i];
    }
    slope_least_squares(x, y, n, &slope, &level);
    for (size_t i = 0; i < n; i++) {
        double off = y[i] - level - slope * x[i];
        squares += off * off;
    }
    double span = (double)(n - 1);
    return (struct trend){span * slope, span * sqrt(squares / (double)(n - 2) / spread)};
}

static enum quadrant quadrant_of(double de, double ds) {
    if (de < 0) {
        return ds < 0 ? QUADRANT_CONDENSING : QUADRANT_SPONTANEOUS;
    }
    return ds < 0 ? QUADRANT_QUENCHING : QUADRANT_HEATING;
}

void quadrant_read(const struct view *v, struct reading *r) {
    double s[LEDGER_ROWS], e[LEDGER_ROWS];
    double size = v->whole ? v->run->entropy_size : v->n;
    size_t n = ledger_pairs(&v->body->ledger, COLUMN_ENTROPY, COLUMN_ENERGY, s, e);
    if (n < LEDGER_GROUPS_MIN) {
        read_missing_energy_or_entropy(v, r);
        return;
    }
    struct trend energy = trend_of(e, n), entropy = trend_of(s, n);
    double few = student_t975((unsigned)n - 2) / NORMAL_975;
    bool significant =
        fabs(energy.change) > 0 && fabs(energy.change) >= STANDARD_ERRORS * few * energy.error;
    enum quadrant q = QUADRANT_QUASI_STATIC;
    if (significant && fabs(entropy.change) >= entropy_resolution(size)) {
        q = quadrant_of(energy.change, entropy.change);
    }
    reading_value(r, q);
    r->no_interval = "a name, not a number";
}
