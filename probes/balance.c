#include "probes/balance.h"

#include "base/check.h"
#include "base/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void balance_begin(struct balance *b) {
    balance_free(b);
    *b = (struct balance){.since = -1, .first = num_missing(), .newest = num_missing()};
}

void balance_free(struct balance *b) {
    free(b->heat);
    b->heat = NULL;
}

void balance_observe(struct balance *b, int64_t step, double loss) {
    if (!isfinite(loss)) {
        return;
    }
    if (b->since < 0) {
        b->since = step;
        b->first = loss;
    } else if (b->refreshed) {
        b->work += loss - b->newest;
    }
    b->refreshed = false;
    b->newest = loss;
}

void balance_refresh(struct balance *b, const struct thermo *t) {
    size_t n = thermo_layers(t);
    if (!b->heat) {
        b->heat = must_alloc((n ? n : 1) * sizeof *b->heat);
        for (size_t i = 0; i < n; i++) {
            b->heat[i] = num_missing();
        }
    }
    for (size_t i = 0; i < n; i++) {
        b->heat[i] = balance_heat(b, t, i);
    }
    b->refreshes++;
    b->refreshed = b->since >= 0;
}

double balance_heat(const struct balance *b, const struct thermo *t, size_t layer) {
    double before = b->heat ? b->heat[layer] : num_missing();
    double now = thermo_value(t, layer, METRIC_HEAT);
    return num_is_missing(before) ? now : num_is_missing(now) ? before : before + now;
}

struct balance_sheet balance_read(const struct balance *b, const struct thermo *t) {
    struct balance_sheet s = {.since = b->since,
                              .refreshes = b->refreshes,
                              .start = b->first,
                              .work = b->work,
                              .energy = b->newest};
    size_t known = 0;
    double heat = 0;
    for (size_t i = 0; i < thermo_layers(t); i++) {
        double x = balance_heat(b, t, i);
        known += !num_is_missing(x);
        heat += num_is_missing(x) ? 0 : x;
    }
    s.unknown = thermo_layers(t) - known;
    s.heat = known ? heat : num_missing();
    s.in = s.kept = s.kept_share = s.returned = num_missing();
    if (b->since < 0) {
        s.work = num_missing();
        return s;
    }
    s.in = s.start + s.work;
    s.kept = s.in - s.energy;
    if (known) {
        s.returned = heat - s.kept;
        s.kept_share = heat > 0 ? s.kept / heat : num_missing();
    }
    return s;
}

// --- as bytes ---

struct saved {
    int64_t since;
    double first, newest, work;
    uint32_t refreshes;
    uint8_t refreshed, has_heat, unused[2];
};

void balance_save(const struct balance *b, size_t n_layers, struct buf *out) {
    struct saved s = {.since = b->since,
                      .first = b->first,
                      .newest = b->newest,
                      .work = b->work,
                      .refreshes = b->refreshes,
                      .refreshed = b->refreshed,
                      .has_heat = b->heat != NULL};
    buf_put(out, &s, sizeof s);
    if (b->heat) {
        buf_put(out, b->heat, n_layers * sizeof *b->heat);
    }
}

size_t balance_load(struct balance *b, size_t n_layers, const void *bytes, size_t size) {
    struct saved s;
    if (size < sizeof s) {
        return 0;
    }
    memcpy(&s, bytes, sizeof s);
    size_t heat = s.has_heat ? n_layers * sizeof *b->heat : 0;
    if (s.since < -1 || s.refreshed > 1 || s.has_heat > 1 || size - sizeof s < heat) {
        return 0;
    }
    balance_free(b);
    *b = (struct balance){.since = s.since,
                          .first = s.first,
                          .newest = s.newest,
                          .work = s.work,
                          .refreshes = s.refreshes,
                          .refreshed = s.refreshed};
    if (s.has_heat) {
        b->heat = must_alloc(heat ? heat : 1);
        memcpy(b->heat, (const char *)bytes + sizeof s, heat);
    }
    return sizeof s + heat;
}
