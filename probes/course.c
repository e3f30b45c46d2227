#include "probes/course.h"

#include "base/num.h"
#include "probes/trend.h"

#include <math.h>
#include <string.h>

#define NOISE_DEGREE 2 // of the smooth course through the newest steps
#define WEIGHTED 0.75  // of the degrees of freedom are left by weights that rise evenly from 0
#define ROUNDING 1e-13 // relative differences below it are none
#define COARSE 8       // a window has at least so many blocks

static const struct {
    uint32_t steps; // that tell the noise of an end
    uint32_t state; // in a state of at least so many
} spans[COURSE_SPANS] = {{8, 24}, {12, 56}, {16, 88}, {24, 144}, {COURSE_RECENT, 256}};

_Static_assert(COURSE_BLOCKS <= TREND_POINTS_MAX && COURSE_RECENT <= TREND_POINTS_MAX, "detrended");

static void clear_block(struct course *c) {
    c->sum_energy = c->sum_entropy = 0;
    c->filled = c->measured = 0;
}

static void clear_blocks(struct course *c) {
    c->blocks = 0;
    c->block = 1;
    clear_block(c);
}

void course_begin_segment(struct course *c) {
    c->recent = c->next = 0;
    clear_blocks(c);
}

void course_begin_state(struct course *c) {
    memset(c, 0, sizeof *c);
    course_begin_segment(c);
}

// At one end of the ring's n oldest or newest steps, the nearer of which count for more, since
// noise changes on the way.
enum end { OLDEST, NEWEST };

// What a double's last digits leave is no noise and has no correlation.
static double correlation_of(const struct trend *t, const double *rest, double level) {
    double squares = 0;
    for (size_t i = 0; i < t->points; i++) {
        squares += rest[i] * rest[i];
    }
    return squares > ROUNDING * ROUNDING * level * level ? trend_correlation(t, rest) : 0;
}

static struct course_noise noise_of(const struct course *c, enum end end, size_t n) {
    double time[COURSE_RECENT] = {0}, e[COURSE_RECENT] = {0}, s[COURSE_RECENT] = {0};
    size_t oldest = c->recent < COURSE_RECENT ? 0 : c->next;
    size_t from = end == NEWEST ? c->recent - n : 0;
    struct trend trend;
    for (size_t i = 0; i < n; i++) {
        size_t at = (oldest + from + i) % COURSE_RECENT;
        time[i] = (double)i;
        e[i] = c->energy[at];
        s[i] = c->entropy[at];
    }
    trend_begin(&trend, time, n, NOISE_DEGREE);
    double level = fabs(e[0]) + fabs(e[n - 1]);
    trend_remove(&trend, e, e);
    trend_remove(&trend, s, s);
    // Of noise that lasts, the fit takes more: as much more as its mean is noisier.
    double r = correlation_of(&trend, e, level), count = (double)n;
    double left = fmax(count - trend.terms * (1 + r) / (1 - r), count / 3);
    double freedom = (count - trend.terms) * (1 - r * r) / (1 + r * r);
    struct course_noise noise = {.freedom = WEIGHTED * freedom};
    for (size_t i = 0; i < n; i++) {
        double near = 2 * ((double)(end == NEWEST ? i : n - 1 - i) + 0.5) / count;
        noise.energy += near * e[i] * e[i] / left;
        noise.both += near * e[i] * s[i] / left;
        noise.entropy += near * s[i] * s[i] / left;
    }
    return noise;
}

bool course_noise(const struct course *c, struct course_noise *newest, struct course_noise *first) {
    if (c->recent < spans[0].steps || c->steps < spans[0].state) {
        return false;
    }
    size_t i = COURSE_SPANS - 1;
    while (i > 0 && (c->steps < spans[i].state || !(c->start[i].freedom > 0))) {
        i--;
    }
    *newest = noise_of(c, NEWEST, c->recent < spans[i].steps ? c->recent : spans[i].steps);
    *first = c->start[i];
    return true;
}

static void add_recent(struct course *c, double energy, double entropy) {
    c->energy[c->next] = energy;
    c->entropy[c->next] = entropy;
    c->next = (uint8_t)((c->next + 1) % COURSE_RECENT);
    c->recent = (uint8_t)(c->recent + (c->recent < COURSE_RECENT));
    c->steps += c->steps < UINT32_MAX;
    for (size_t i = 0; i < COURSE_SPANS; i++) {
        if (c->recent == spans[i].steps && !(c->start[i].freedom > 0)) {
            c->start[i] = noise_of(c, OLDEST, c->recent);
        }
    }
}

static void drop_oldest(struct course *c) {
    memmove(c->kept[0], c->kept[1], sizeof c->kept - sizeof c->kept[0]);
    c->blocks--;
}

static struct packed merged(struct packed a, struct packed b) {
    double x = packed_value(a), y = packed_value(b);
    return isnan(x) ? b : isnan(y) ? a : packed_from(x / 2 + y / 2);
}

static void merge_neighbours(struct course *c) {
    for (size_t i = 0; i < COURSE_BLOCKS / 2; i++) {
        for (size_t k = 0; k < 2; k++) {
            c->kept[i][k] = merged(c->kept[2 * i][k], c->kept[2 * i + 1][k]);
        }
    }
    c->blocks = COURSE_BLOCKS / 2;
    c->block *= 2;
}

static void complete_block(struct course *c) {
    double count = c->measured > 0 ? c->measured : num_missing();
    c->kept[c->blocks][0] = packed_from(c->sum_energy / count);
    c->kept[c->blocks][1] = packed_from(c->sum_entropy / count);
    c->blocks++;
    clear_block(c);
}

// What the window no longer holds goes; a window that began anew is too short for long blocks.
static void follow(struct course *c, double window) {
    while (c->blocks > 0 && (double)(c->blocks - 1) * c->block + c->filled >= window) {
        drop_oldest(c);
    }
    if (c->block > 1 && c->block * (double)COARSE > window) {
        clear_blocks(c);
    }
}

void course_add(struct course *c, double energy, double entropy, double window) {
    bool measured = !isnan(energy) && !isnan(entropy);
    if (measured) {
        add_recent(c, energy, entropy);
        c->sum_energy += energy;
        c->sum_entropy += entropy;
        c->measured++;
    }
    c->filled++;
    if (c->filled >= c->block) {
        complete_block(c);
    }
    follow(c, window);
    if (c->blocks == COURSE_BLOCKS) {
        merge_neighbours(c);
    }
}

static void add_point(struct course_points *p, double time, double energy, double entropy) {
    if (!isnan(energy) && !isnan(entropy)) {
        p->time[p->n] = time;
        p->energy[p->n] = energy;
        p->entropy[p->n] = entropy;
        p->n++;
    }
}

void course_points(const struct course *c, struct course_points *p) {
    double block = c->block, filled = c->filled;
    p->n = 0;
    p->steps = c->blocks * block;
    for (size_t i = 0; i < c->blocks; i++) {
        add_point(p, ((double)i + 0.5) * block, packed_value(c->kept[i][0]),
                  packed_value(c->kept[i][1]));
    }
    if (2 * c->filled >= c->block && c->measured > 0) { // long enough to count as a block
        add_point(p, p->steps + filled / 2, c->sum_energy / c->measured,
                  c->sum_entropy / c->measured);
        p->steps += filled;
    }
}

bool course_is_valid(const struct course *c) {
    return c->blocks < COURSE_BLOCKS && c->block >= 1 && c->filled < c->block &&
           c->recent <= COURSE_RECENT && c->next < COURSE_RECENT;
}
