#include "probes/instrument.h"

#include <math.h>

void reading_around(struct reading *r, double half) {
    r->has_interval = false;
    r->no_interval = NULL;
    if (isfinite(r->value - half) && isfinite(r->value + half)) {
        reading_interval(r, r->value - half, r->value + half);
    } else {
        r->no_interval = NO_INTERVAL_UNBOUNDED;
    }
}

void reading_not_negative(struct reading *r) {
    if (r->has_interval) {
        reading_interval(r, fmax(r->low, 0), fmax(r->high, 0));
    }
}

bool read_window(const struct view *v, enum column num, enum column den, double scale,
                 struct reading *r) {
    double value;
    if (!ledger_ratio(&v->body->ledger, num, den, &value) || !isfinite(scale * value)) {
        return false;
    }
    reading_value(r, scale * value);
    r->steps = ledger_steps(&v->body->ledger);
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
