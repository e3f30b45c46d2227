#include "probes/instrument.h"

#include <math.h>

void reading_around(struct reading *r, double half) {
    if (isfinite(r->value - half) && isfinite(r->value + half)) {
        reading_interval(r, r->value - half, r->value + half);
    } else {
        r->no_interval = NO_INTERVAL_UNBOUNDED;
    }
}

// The 95% quantile of |b_g - b_0| over the root mean square of the g steps between independent
// normal b_0 ... b_g, simulated: Student's is too wide, since the first and the last step know the
// ends.
static double balance_t975(unsigned groups) {
    static const double t[] = {2.46, 2.38, 2.31, 2.26, 2.22};
    _Static_assert(LEDGER_ROWS - LEDGER_GROUPS_MIN + 1 == sizeof t / sizeof *t, "one each");
    return t[groups - LEDGER_GROUPS_MIN];
}

bool read_balance(const struct view *v, enum column num, enum column den, double expected,
                  double scale, struct reading *r) {
    struct spread spread;
    if (!read_window(v, num, den, scale, r)) {
        return false;
    }
    if (v->interval && ledger_balance(&v->body->ledger, num, den, expected, &spread)) {
        reading_around(r, fabs(scale) * balance_t975(spread.groups) * spread.error);
    }
    return true;
}

bool read_window(const struct view *v, enum column num, enum column den, double scale,
                 struct reading *r) {
    double value;
    if (!ledger_ratio(&v->body->ledger, num, den, &value) || !isfinite(scale * value)) {
        return false;
    }
    reading_value(r, scale * value);
    if (!v->interval) {
        return true;
    }
    struct spread spread = ledger_spread(&v->body->ledger, num, den);
    if (spread.groups < LEDGER_GROUPS_MIN) {
        r->no_interval = NO_INTERVAL_BLOCKS;
    } else {
        reading_around(r, fabs(scale) * student_t975(spread.groups - 1) * spread.error);
    }
    return true;
}
