#include "probes/composite.h"

#include "probes/jackknife.h"

#include <math.h>

// f of the averages over all groups but one; over all when `skip` is none of them.
static bool without(const struct ledger_group *groups, size_t n_groups, size_t skip, size_t n,
                    composite *f, const void *with, double *value) {
    double mean[LEDGER_TOGETHER] = {0}, steps = 0;
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t c = 0; c < n; c++) {
            mean[c] += g == skip ? 0 : groups[g].sum[c];
        }
        steps += g == skip ? 0 : groups[g].steps;
    }
    for (size_t c = 0; c < n; c++) {
        mean[c] /= steps > 0 ? steps : num_missing();
    }
    return steps > 0 && f(mean, with, value) && isfinite(*value);
}

bool read_composite(const struct view *v, const enum column *columns, size_t n, composite *f,
                    const void *with, struct reading *r) {
    struct ledger_group groups[LEDGER_ROWS];
    double value, left_out[LEDGER_ROWS];
    size_t n_groups = ledger_together(&v->body->ledger, columns, n, groups);
    if (!without(groups, n_groups, n_groups, n, f, with, &value)) {
        return false;
    }
    reading_value(r, value);
    if (!v->interval) {
        return true;
    }
    if (n_groups < LEDGER_GROUPS_MIN) {
        r->no_interval = NO_INTERVAL_BLOCKS;
        return true;
    }
    for (size_t g = 0; g < n_groups; g++) {
        if (!without(groups, n_groups, g, n, f, with, &left_out[g])) {
            r->no_interval = NO_INTERVAL_UNBOUNDED;
            return true;
        }
    }
    reading_around(r, student_t975((unsigned)n_groups - 1) * jackknife_error(left_out, n_groups));
    return true;
}
