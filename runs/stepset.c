#include "runs/stepset.h"

#include "base/check.h"
#include "wire/step.h"

#include <stdlib.h>
#include <string.h>

void stepset_free(struct stepset *s) {
    free(s->ranges);
    *s = (struct stepset){0};
}

static int64_t range_count(const struct step_range *r) {
    return r->stride ? (r->last - r->first) / r->stride + 1 : 1;
}

void stepset_add(struct stepset *s, int64_t step) {
    s->count++;
    if (s->n) {
        struct step_range *r = &s->ranges[s->n - 1];
        CHECK(step > r->last);
        if (r->stride == 0 || step - r->last == r->stride) {
            r->stride = step - r->last;
            r->last = step;
            return;
        }
    }
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4;
        s->ranges = must_grow(s->ranges, s->cap * sizeof *s->ranges);
    }
    s->ranges[s->n++] = (struct step_range){step, step, 0};
}

// The last range that begins at or before step; NULL when none does.
static struct step_range *range_before(const struct stepset *s, int64_t step) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].first <= step) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? &s->ranges[low - 1] : NULL;
}

bool stepset_has(const struct stepset *s, int64_t step) {
    const struct step_range *r = range_before(s, step);
    return r && step <= r->last &&
           (r->stride ? (step - r->first) % r->stride == 0 : step == r->first);
}

int64_t stepset_first(const struct stepset *s) {
    return s->n ? s->ranges[0].first : -1;
}

int64_t stepset_last(const struct stepset *s) {
    return s->n ? s->ranges[s->n - 1].last : -1;
}

void stepset_truncate(struct stepset *s, int64_t last) {
    while (s->n && s->ranges[s->n - 1].first > last) {
        s->count -= range_count(&s->ranges[--s->n]);
    }
    if (s->n && s->ranges[s->n - 1].last > last) {
        struct step_range *r = &s->ranges[s->n - 1];
        int64_t before = range_count(r);
        r->last = r->first + (last - r->first) / r->stride * r->stride;
        r->stride = r->last == r->first ? 0 : r->stride;
        s->count -= before - range_count(r);
    }
}

void stepset_save(const struct stepset *s, struct buf *out) {
    uint64_t n = s->n;
    buf_put(out, &n, sizeof n);
    buf_put(out, s->ranges, s->n * sizeof *s->ranges);
}

static bool ranges_are_sound(const struct stepset *s) {
    int64_t before = -1;
    for (size_t i = 0; i < s->n; i++) {
        const struct step_range *r = &s->ranges[i];
        if (r->first <= before || r->last < r->first || r->last > STEP_MAX) {
            return false;
        }
        bool single = r->stride == 0 && r->first == r->last;
        bool several = r->stride > 0 && r->last > r->first && (r->last - r->first) % r->stride == 0;
        if (!single && !several) {
            return false;
        }
        before = r->last;
    }
    return true;
}

size_t stepset_load(struct stepset *s, const void *bytes, size_t size) {
    uint64_t n;
    if (size < sizeof n) {
        return 0;
    }
    memcpy(&n, bytes, sizeof n);
    if (n > (size - sizeof n) / sizeof *s->ranges) {
        return 0;
    }
    struct stepset loaded = {.n = (size_t)n, .cap = (size_t)n};
    if (n) {
        loaded.ranges = must_alloc(n * sizeof *loaded.ranges);
        memcpy(loaded.ranges, (const char *)bytes + sizeof n, n * sizeof *loaded.ranges);
    }
    if (!ranges_are_sound(&loaded)) {
        free(loaded.ranges);
        return 0;
    }
    for (size_t i = 0; i < loaded.n; i++) {
        loaded.count += range_count(&loaded.ranges[i]);
    }
    stepset_free(s);
    *s = loaded;
    return sizeof n + (size_t)n * sizeof *s->ranges;
}
