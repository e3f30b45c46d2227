#include "probes/loss_course.h"

#include <math.h>

void loss_course_begin(struct loss_course *c) {
    level_course_begin(&c->levels, false);
}

// Means over the blocks on either side of the change, which is `length` blocks ago, in the middle
// of a block perhaps: that one is left out where there are others.
static void levels(const struct level_course *c, uint64_t length, struct phase_change *change) {
    double before = 0, after = 0, n_before = 0, n_after = 0;
    for (uint64_t ago = 0; ago < length + LEVEL_RECENT; ago++) {
        if (ago + 1 == length && length > 1) {
            continue;
        }
        bool is_new = ago < length;
        *(is_new ? &after : &before) += level_course_block(c, ago)->level;
        *(is_new ? &n_after : &n_before) += 1;
    }
    before /= n_before;
    after /= n_after;
    change->before = c->is_linear ? before : exp(before);
    change->after = c->is_linear ? after : exp(after);
}

bool loss_course_add(struct loss_course *c, int64_t step, double loss,
                     struct phase_change *change) {
    struct level_course *l = &c->levels;
    uint64_t length;
    double probability;
    if (!(fabs(loss) <= LEVEL_MAX)) {
        return false;
    }
    if (!(loss > 0) && !l->is_linear) {
        level_course_begin(l, true);
    }
    if (!level_course_add(l, step, l->is_linear ? loss : log(loss), &length, &probability) ||
        !level_course_jumps(l, length)) {
        return false;
    }
    *change = (struct phase_change){.what = PHASE_LOSS,
                                    .step = level_course_block(l, length - 1)->step,
                                    .found = step,
                                    .probability = probability};
    levels(l, length, change);
    level_course_settle(l);
    return true;
}
