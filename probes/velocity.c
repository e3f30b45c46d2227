// The velocity temperature: the mean kinetic energy of a weight of unit mass that moves dw a step,
// T = <|dw|^2> / (2 n), in weight units squared (Fioresi, Faglioni, Lapenna).
#include "probes/instrument.h"

void velocity_read(const struct view *v, struct reading *r) {
    if (body_is_frozen(v->body)) {
        reading_value(r, 0);
        reading_interval(r, 0, 0);
    } else if (!read_window(v, COLUMN_UPDATE2, COLUMN_NONE, 0.5, r)) {
        read_missing(v, r, STAT_U_VAR, STAT_U_MEAN);
    } else {
        reading_not_negative(r);
    }
}
