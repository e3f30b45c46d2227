// Norm drift: D = (|w_T|^2 - |w_0|^2) / sum |dw|^2 over the window. 0 is stationary, 1
// pure diffusion without momentum ((1 + mu) / (1 - mu) with it), well below 0 a collapse under
// weight decay. Only norms are needed, so it holds for every optimizer. Steps that were not sent
// count by their neighbours.
#include "probes/stationary.h"

// Below this the squared norms cannot tell the updates from rounding.
#define RESOLVED_SHARE 1e-12

static bool updates_vanish(const struct view *v) {
    double share;
    return v->run->segment_steps > 1 &&
           ledger_ratio(&v->body->ledger, COLUMN_PATH, COLUMN_WEIGHT2, &share) &&
           share <= RESOLVED_SHARE;
}

void drift_read(const struct view *v, struct reading *r) {
    struct uncertainty u;
    if (body_is_frozen(v->body)) {
        reading_none(r, REASON_FROZEN);
    } else if (updates_vanish(v)) {
        reading_none(r, "indeterminate: the updates are too small beside the weights");
    } else if (!read_window(v, COLUMN_CLIMB, COLUMN_PATH, 1, r)) {
        read_missing(v, r, STAT_W_VAR, STAT_W_MEAN, STAT_U_VAR, STAT_U_MEAN);
    } else if (v->interval && stationary_drift(v, &u)) {
        reading_around(r, student_t975(u.freedom) * u.error);
    }
}
