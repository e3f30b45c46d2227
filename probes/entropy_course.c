// Two things may break. The rate: its level on one side is another than on the other, and the
// change is larger than what the same number of blocks before brought, so that the rate of a run
// that settles is no change. Or the entropy: one block brings far more than the run's rates ever
// differed by, and the rate is then what it was. [D]
#include "probes/entropy_course.h"

#include "base/num.h"

#include <math.h>
#include <stdlib.h>

#define FASTER 2     // times the course before: what a change of the rate is at least
#define SPIKE 8      // times the largest difference of neighbours: what a jump is at least
#define SPIKE_BACK 4 // the rate behind a jump is this many times nearer to the one before
#define USUAL 16     // blocks before a jump that tell the usual differences

void entropy_course_begin(struct entropy_course *c) {
    level_course_begin(&c->rates, true);
    entropy_course_pause(c);
}

void entropy_course_pause(struct entropy_course *c) {
    c->entropy = c->parameters = num_missing();
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median rate of the blocks from `ago` on, `n` of them back in time; fewer where there were no
// more.
static double median(const struct level_course *l, uint64_t ago, uint64_t n) {
    double x[LEVEL_RING] = {0};
    uint64_t m = 0;
    for (; m < n && ago + m < l->blocks; m++) {
        x[m] = level_course_block(l, ago + m)->level;
    }
    qsort(x, m, sizeof x[0], compare);
    if (m == 0) {
        return num_missing();
    }
    return m % 2 ? x[m / 2] : (x[m / 2 - 1] + x[m / 2]) / 2;
}

static double usual_difference(const struct level_course *l, uint64_t ago) {
    double most = 0;
    for (uint64_t i = ago; i + 1 < ago + USUAL && i + 1 < l->blocks; i++) {
        double newer = level_course_block(l, i)->level, older = level_course_block(l, i + 1)->level;
        most = fmax(most, fabs(newer - older));
    }
    return most;
}

// One block among those around the change brought a jump.
static bool find_jump(const struct level_course *l, uint64_t length, struct phase_change *change) {
    double before = median(l, length, LEVEL_RECENT), farthest = -1;
    uint64_t at = 0;
    for (uint64_t ago = 0; ago < length + LEVEL_RECENT; ago++) {
        double off = fabs(level_course_block(l, ago)->level - before);
        at = off > farthest ? ago : at;
        farthest = fmax(farthest, off);
    }
    if (at == 0) {
        return false; // what comes behind it is not known yet
    }
    before = median(l, at + 1, LEVEL_RECENT);
    double rate = level_course_block(l, at)->level, size = fabs(rate - before);
    if (!(size > SPIKE * usual_difference(l, at + 1)) ||
        !(fabs(median(l, 0, at) - before) < size / SPIKE_BACK)) {
        return false;
    }
    change->what = PHASE_ENTROPY_JUMP;
    change->step = level_course_block(l, at)->step;
    change->before = LEVEL_BLOCK * before;
    change->after = LEVEL_BLOCK * rate;
    return true;
}

static bool find_rate(const struct level_course *l, uint64_t length, struct phase_change *change) {
    // The change may lie in the middle of its first block.
    double after = median(l, 0, length > 1 ? length - 1 : 1);
    double before = median(l, length, LEVEL_RECENT);
    double older = median(l, length + LEVEL_RECENT, LEVEL_RECENT);
    if (!level_course_jumps(l, length) || !(fabs(after - before) > FASTER * fabs(before - older))) {
        return false;
    }
    change->what = PHASE_ENTROPY;
    change->step = level_course_block(l, length - 1)->step;
    change->before = before;
    change->after = after;
    return true;
}

// The rate at which the entropy came here; NaN where it is not known.
static double rate_of(struct entropy_course *c, int64_t step, double entropy, double parameters) {
    bool same = parameters >= c->parameters && parameters <= c->parameters;
    double steps = (double)step - (double)c->step;
    double rate = same && steps > 0 ? (entropy - c->entropy) / steps : num_missing();
    c->step = step;
    c->entropy = entropy;
    c->parameters = parameters;
    return rate;
}

bool entropy_course_add(struct entropy_course *c, int64_t step, double entropy, double parameters,
                        struct phase_change *change) {
    double rate = rate_of(c, step, entropy, parameters), probability;
    uint64_t length;
    if (!(fabs(rate) <= LEVEL_MAX) ||
        !level_course_add(&c->rates, step, rate, &length, &probability)) {
        return false;
    }
    struct phase_change found = {.found = step, .probability = probability};
    if (!find_jump(&c->rates, length, &found) && !find_rate(&c->rates, length, &found)) {
        return false;
    }
    level_course_settle(&c->rates);
    *change = found;
    return true;
}
