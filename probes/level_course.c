#include "probes/level_course.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define EXPECTED_RUN 250 // blocks between changes
#define TREND 0.125      // weight of the newest block
#define SPREAD 0.05      // likewise
#define SPREAD_MIN 0.01  // of a logarithm, or share of the trend
#define FAR 12           // usual distances: farther is as good as this
#define LEARN 8          // blocks until anything is judged
#define WARMUP 16        // until anything is told
#define SURE 0.9         // the chance of a change
#define CLEAR 3          // blocks in a row
#define QUIET 16         // blocks behind a change

void level_course_begin(struct level_course *c, bool is_linear) {
    memset(c, 0, sizeof *c);
    c->is_linear = is_linear;
}

const struct level_block *level_course_block(const struct level_course *c, uint64_t ago) {
    return &c->ring[(c->blocks - 1 - ago) % LEVEL_RING];
}

// The change may lie in the middle of a block: that one is left out where there are others.
bool level_course_jumps(const struct level_course *c, uint64_t length) {
    double from = 0, to = 0, n_from = 0, n_to = 0;
    for (uint64_t ago = 0; ago < length + LEVEL_RECENT; ago++) {
        if (ago + 1 == length && length > 1) {
            continue;
        }
        bool is_new = ago < length;
        *(is_new ? &to : &from) += level_course_block(c, ago)->distance;
        *(is_new ? &n_to : &n_from) += 1;
    }
    return fabs(to / n_to - from / n_from) > LEVEL_JUMP;
}

static bool find(struct level_course *c, uint64_t *length, double *probability) {
    *probability = bocpd_at_most(&c->changes, LEVEL_RECENT);
    bool is_news = c->blocks > WARMUP && c->blocks > c->quiet_until && *probability > SURE;
    c->clear = is_news ? c->clear + 1 : 0;
    if (c->clear < CLEAR) {
        return false;
    }
    *length = bocpd_most_probable(&c->changes);
    return *length > 0 && *length <= LEVEL_RECENT;
}

void level_course_settle(struct level_course *c) {
    c->clear = 0;
    c->quiet_until = c->blocks + QUIET;
    c->trend = c->last;
}

// Follows trend and spread; the level's distance from the trend before it, in units of the spread.
static double follow(struct level_course *c, double level) {
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

static bool end_block(struct level_course *c, uint64_t *length, double *probability) {
    double level = c->sum / c->filled, distance = follow(c, level);
    c->ring[c->blocks++ % LEVEL_RING] = (struct level_block){c->step, level, distance};
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
    return find(c, length, probability);
}

bool level_course_add(struct level_course *c, int64_t step, double x, uint64_t *length,
                      double *probability) {
    if (c->filled == 0) {
        c->step = step;
    }
    c->sum += x;
    return ++c->filled >= LEVEL_BLOCK && end_block(c, length, probability);
}

// The change points are last and mostly fewer than there is room for.
static size_t saved_size(const struct level_course *c) {
    return offsetof(struct level_course, changes.runs) +
           c->changes.count * sizeof c->changes.runs[0];
}

void level_course_save(const struct level_course *c, struct buf *out) {
    buf_put(out, c, saved_size(c));
}

static bool is_valid(const struct level_course *c) {
    return c->filled < LEVEL_BLOCK && c->is_linear <= 1 && c->started <= 1 &&
           (!c->started || bocpd_is_valid(&c->changes));
}

size_t level_course_load(struct level_course *c, const void *bytes, size_t size) {
    size_t head = offsetof(struct level_course, changes.runs);
    memset(c, 0, sizeof *c);
    if (size < head) {
        return 0;
    }
    memcpy(c, bytes, head);
    if (c->changes.count > BOCPD_RUNS || size < saved_size(c)) {
        return 0;
    }
    memcpy(c, bytes, saved_size(c));
    return is_valid(c) ? saved_size(c) : 0;
}
