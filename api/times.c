#include "api/times.h"

#include "base/memory.h"
#include "runs/history.h"
#include "storage/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Steps whose times are read one by one: a few milliseconds.
#define EXACT_STEPS 20000
// Between two readings so long that the job must have paused: in seconds, and as a multiple of what
// is usual. So many are looked into, the longest.
#define PAUSE_S 300.0
#define PAUSE_USUAL 4
#define PAUSES 16

struct gathering {
    struct step_times *times;
    bool no_memory;
};

static bool append(struct step_times *t, const struct step_time *one) {
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 256;
        struct step_time *grown = try_grow(t->at, cap * sizeof *grown);
        if (!grown) {
            return false;
        }
        t->at = grown;
        t->cap = cap;
    }
    t->at[t->n++] = *one;
    return true;
}

static bool take_time(void *context, size_t series, const struct range_point *p) {
    struct gathering *g = context;
    (void)series;
    struct step_time one = {p->last, p->cell.value[AGGREGATE_LAST]};
    g->no_memory = isfinite(one.time) && !append(g->times, &one);
    return !g->no_memory;
}

// The exact times that the store has of an attempt's steps, or of their readings.
static int read_kind(struct step_times *out, struct reader *r, enum segment_kind kind,
                     int64_t attempt, int64_t from, int64_t to) {
    struct gathering g = {.times = out};
    struct range_series time = {.key = {.kind = COLUMN_FIELD, .id = SEGMENT_TIME}};
    struct range range = {.attempt = attempt,
                          .kind = kind,
                          .from = from,
                          .to = to,
                          .width = 1,
                          .series = &time,
                          .n_series = 1,
                          .point = take_time,
                          .context = &g};
    int rc = range_read(r, &range);
    return rc ? rc : g.no_memory ? -2 : 0;
}

// Both in order; a step that both have counts once.
static bool merge(struct step_times *out, const struct step_times *a, const struct step_times *b) {
    bool good = true;
    for (size_t i = 0, j = 0; good && (i < a->n || j < b->n);) {
        bool first = j == b->n || (i < a->n && a->at[i].step <= b->at[j].step);
        struct step_time one = first ? a->at[i] : b->at[j];
        i += i < a->n && a->at[i].step == one.step;
        j += j < b->n && b->at[j].step == one.step;
        double newest = out->n ? out->at[out->n - 1].time : one.time;
        one.time = one.time > newest ? one.time : newest;
        good = append(out, &one);
    }
    return good;
}

static int read_attempt(struct step_times *out, struct reader *r, int64_t attempt, int64_t from,
                        int64_t to, bool all) {
    struct step_times readings = {0}, steps = {0};
    int rc = read_kind(&readings, r, SEGMENT_READINGS, attempt, from, to);
    // A run that goes on has steps behind its newest reading.
    bool kept = readings.n > 1 && !all;
    int64_t behind = kept ? readings.at[readings.n - 1].step + 1 : from;
    rc = rc ? rc : read_kind(&steps, r, SEGMENT_STEPS, attempt, behind, to);
    rc = rc ? rc : merge(out, &readings, &steps) ? 0 : -2;
    times_free(&readings);
    times_free(&steps);
    return rc;
}

// Within from..to of what no later attempt superseded; false when nothing is left.
static bool clip(const struct attempt_record *attempts, size_t n, size_t i, int64_t from,
                 int64_t *to) {
    int64_t last = history_last_in_force(attempts, n, i);
    *to = last < *to ? last : *to;
    return *to >= from;
}

// The index behind the longest wait that is shorter than `below` and may hide a pause; 0: none.
static size_t find_pause(const struct step_times *t, double below) {
    double usual = t->n > 1 ? (t->at[t->n - 1].time - t->at[0].time) / (double)(t->n - 1) : 0;
    double longest = PAUSE_USUAL * usual > PAUSE_S ? PAUSE_USUAL * usual : PAUSE_S;
    size_t found = 0;
    for (size_t i = 1; i < t->n; i++) {
        double wait = t->at[i].time - t->at[i - 1].time;
        if (wait > longest && wait < below && t->at[i].step - t->at[i - 1].step > 1) {
            longest = wait;
            found = i;
        }
    }
    return found;
}

static int look_into(struct step_times *t, size_t pause, struct reader *r,
                     const struct attempt_record *attempts, size_t n) {
    struct step_times steps = {0}, merged = {0};
    int64_t from = t->at[pause - 1].step + 1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        int64_t last = t->at[pause].step - 1;
        if (clip(attempts, n, i, from, &last)) {
            rc = read_kind(&steps, r, SEGMENT_STEPS, attempts[i].id, from, last);
        }
    }
    rc = rc ? rc : merge(&merged, t, &steps) ? 0 : -2;
    times_free(&steps);
    times_free(rc ? &merged : t);
    *t = rc ? *t : merged;
    return rc;
}

int times_read(struct step_times *out, struct reader *r, const struct attempt_record *attempts,
               size_t n, int64_t from, int64_t to) {
    *out = (struct step_times){0};
    int64_t steps = 0;
    int rc = 0;
    for (size_t i = 0; i < n && steps <= EXACT_STEPS; i++) {
        int64_t last = to, some = 0;
        if (clip(attempts, n, i, from, &last) &&
            range_count(r, attempts[i].id, from, last, EXACT_STEPS + 1, &some)) {
            return -1;
        }
        steps += some;
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        int64_t last = to;
        if (clip(attempts, n, i, from, &last)) {
            rc = read_attempt(out, r, attempts[i].id, from, last, steps <= EXACT_STEPS);
        }
    }
    double wait = (double)INFINITY;
    for (size_t i = 0, at; rc == 0 && i < PAUSES && (at = find_pause(out, wait)); i++) {
        wait = out->at[at].time - out->at[at - 1].time;
        rc = look_into(out, at, r, attempts, n);
    }
    return rc;
}

void times_free(struct step_times *t) {
    free(t->at);
    *t = (struct step_times){0};
}

double times_at(const struct step_times *t, int64_t step) {
    size_t low = 0, high = t->n;
    while (low < high) { // the first that is not before the step
        size_t middle = low + (high - low) / 2;
        if (t->at[middle].step < step) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == t->n) {
        return t->at[t->n - 1].time;
    }
    const struct step_time *later = &t->at[low], *before = low ? later - 1 : later;
    double gap = (double)(later->step - before->step);
    double share = gap > 0 ? (double)(step - before->step) / gap : 1;
    return share < 1 ? before->time + share * (later->time - before->time) : later->time;
}

size_t times_after(const struct step_times *t, double time) {
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->at[middle].time > time) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}
