// The levels' distance from an average of the last blocks is what is judged, so that the falling
// loss of a run that learns is no change: it is the same distance block by block. [M] for the
// change points, the rest is ours [D].
#include "probes/loss_course.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define EXPECTED_RUN 250 // blocks between changes
#define TREND 0.125      // weight of the newest block
#define SPREAD 0.05      // likewise
#define SPREAD_MIN 0.01  // of a logarithm
#define FAR 12           // usual distances: farther is as good as this
#define LEARN 8          // blocks until anything is judged
#define WARMUP 16        // until anything is told
#define RECENT 5         // blocks since a change that is news
#define SURE 0.9         // the chance of one
#define CLEAR 3          // blocks in a row
#define JUMP 3           // usual distances at least
#define MOST 1e100       // sums of what is larger need not be numbers
#define QUIET 16         // blocks behind a change

void loss_course_begin(struct loss_course *c) {
    memset(c, 0, sizeof *c);
}

static struct course_block *block(struct loss_course *c, uint64_t ago) {
    return &c->ring[(c->blocks - 1 - ago) % COURSE_RING];
}

// Means over the blocks on either side of the change, which is `length` blocks ago, in the middle
// of a block perhaps: that one is left out where there are others.
static void levels(struct loss_course *c, uint64_t length, struct phase_change *change,
                   double *jump) {
    double before = 0, after = 0, from = 0, to = 0, n_before = 0, n_after = 0;
    for (uint64_t ago = 0; ago < length + RECENT; ago++) {
        const struct course_block *b = block(c, ago);
        if (ago + 1 == length && length > 1) {
            continue;
        }
        bool is_new = ago < length;
        *(is_new ? &after : &before) += b->level;
        *(is_new ? &to : &from) += b->distance;
        *(is_new ? &n_after : &n_before) += 1;
    }
    before /= n_before;
    after /= n_after;
    *jump = to / n_after - from / n_before;
    change->before = c->is_linear ? before : exp(before);
    change->after = c->is_linear ? after : exp(after);
}

static bool find(struct loss_course *c, struct phase_change *change) {
    double sure = bocpd_at_most(&c->changes, RECENT);
    bool is_news = c->blocks > WARMUP && c->blocks > c->quiet_until && sure > SURE;
    c->clear = is_news ? c->clear + 1 : 0;
    if (c->clear < CLEAR) {
        return false;
    }
    uint64_t length = bocpd_most_probable(&c->changes);
    if (length == 0 || length > RECENT) {
        return false;
    }
    double jump;
    *change = (struct phase_change){
        .what = PHASE_LOSS, .step = block(c, length - 1)->step, .probability = sure};
    levels(c, length, change, &jump);
    if (!(fabs(jump) > JUMP)) {
        return false;
    }
    c->clear = 0;
    c->quiet_until = c->blocks + QUIET;
    c->trend = c->last; // the way there is no change
    return true;
}

// Follows trend and spread; the level's distance from the trend before it, in units of the spread.
static double follow(struct loss_course *c, double level) {
    if (c->blocks == 0) {
        c->trend = c->last = level;
    }
    double unit = c->is_linear ? fabs(c->trend) : 1;
    double scale = fmax(fmax(c->spread, SPREAD_MIN * unit), DBL_MIN);
    double d = level - c->trend, size = fabs(level - c->last);
    bool has_learnt = c->blocks > LEARN;
    double n = (double)c->blocks + 1;
    c->last = level;
    c->trend += fmax(TREND, 1 / n) * d;
    c->spread += fmax(SPREAD, 1 / n) * ((has_learnt ? fmin(size, 4 * scale) : size) - c->spread);
    return has_learnt ? fmin(fmax(d / scale, -FAR), FAR) : 0;
}

static bool end_block(struct loss_course *c, struct phase_change *change) {
    double level = c->sum / c->filled, distance = follow(c, level);
    c->ring[c->blocks++ % COURSE_RING] = (struct course_block){c->step, level, distance};
    c->filled = 0;
    c->sum = 0;
    if (c->blocks <= LEARN + 1) {
        return false;
    }
    if (!c->started) {
        bocpd_start(&c->changes, EXPECTED_RUN, 0, 0.1, 2, 1);
        c->started = true;
    }
    bocpd_add(&c->changes, distance);
    return find(c, change);
}

bool loss_course_add(struct loss_course *c, int64_t step, double loss,
                     struct phase_change *change) {
    if (!(fabs(loss) <= MOST)) {
        return false;
    }
    if (!(loss > 0) && !c->is_linear) {
        loss_course_begin(c);
        c->is_linear = true;
    }
    if (c->filled == 0) {
        c->step = step;
    }
    c->sum += c->is_linear ? loss : log(loss);
    if (++c->filled < COURSE_BLOCK || !end_block(c, change)) {
        return false;
    }
    change->found = step;
    return true;
}

bool loss_course_is_valid(const struct loss_course *c) {
    return c->filled < COURSE_BLOCK && c->is_linear <= 1 && c->started <= 1 &&
           (!c->started || bocpd_is_valid(&c->changes));
}
