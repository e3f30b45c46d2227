// Which layer a NaN or an infinity came from.
//
// Weights that are not finite point at themselves. Gradients flow from the loss back to the first
// layer, so that of several bad ones the last layer's came first; an update only repeats them. When
// all layers are bad at once nothing is pointed at.
#include "alerts/state.h"

#include "base/num.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static bool is_bad(const struct thermo_step *step, enum statistic id, size_t layer) {
    const double *column = step->stat[id];
    return column && !isfinite(column[layer]) && !num_is_missing(column[layer]);
}

static bool any_bad(const struct thermo_step *step, enum statistic first, enum statistic last,
                    size_t layer) {
    for (enum statistic id = first; id <= last; id++) {
        if (is_bad(step, id, layer)) {
            return true;
        }
    }
    return false;
}

struct part {
    enum nonfinite_what what;
    enum statistic first, last;
    bool from_the_end;
};

static const struct part parts[] = {
    {NONFINITE_WEIGHTS, STAT_W_MEAN, STAT_W_MAX, false},
    {NONFINITE_GRADIENT, STAT_G_MEAN, STAT_G_VAR, true},
    {NONFINITE_UPDATE, STAT_U_MEAN, STAT_U_VAR, false},
};

static bool find(struct nonfinite *found, const struct part *part, const struct thermo_step *step,
                 size_t n_layers) {
    size_t bad = 0, first = 0, last = 0;
    for (size_t i = 0; i < n_layers; i++) {
        if (any_bad(step, part->first, part->last, i)) {
            first = bad == 0 ? i : first;
            last = i;
            bad++;
        }
    }
    if (bad == 0) {
        return false;
    }
    bool all = bad == n_layers && bad > 1;
    found->what = part->what;
    found->layer = all ? UINT64_MAX : part->from_the_end ? last : first;
    found->others = all ? bad : bad - 1;
    return true;
}

// The common case, a plain pass over the bits: all ones in the exponent is NaN, infinite or
// missing.
static bool all_are_numbers(const double *column, size_t n) {
    const uint64_t exponent = UINT64_C(0x7FF) << 52;
    uint64_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &column[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found == 0;
}

static bool is_finite(const struct thermo_step *step, size_t n_layers) {
    for (enum statistic id = STAT_W_MEAN; id <= STAT_U_VAR; id++) {
        if (!step->stat[id] || all_are_numbers(step->stat[id], n_layers)) {
            continue;
        }
        for (size_t i = 0; i < n_layers; i++) {
            if (is_bad(step, id, i)) {
                return false;
            }
        }
    }
    return isfinite(step->loss) || num_is_missing(step->loss);
}

bool nonfinite_observe(struct nonfinite *n, const struct thermo_step *step, size_t n_layers) {
    if (is_finite(step, n_layers)) {
        n->run = 0;
        return true;
    }
    struct nonfinite found = {.layer = UINT64_MAX, .what = NONFINITE_LOSS};
    bool pointed = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !pointed; i++) {
        pointed = find(&found, &parts[i], step, n_layers);
    }
    n->run += n->run < UINT32_MAX;
    n->diverged = n->diverged || n->run >= 3 || found.what == NONFINITE_WEIGHTS;
    n->layer = found.layer;
    n->others = found.others;
    n->what = found.what;
    return false;
}

void nonfinite_describe(struct text *t, const struct life *l, const struct story *story) {
    static const char *const what[] = {"statistics", "loss", "weights", "gradient", "update"};
    const struct nonfinite *n = &story->a->watch.nonfinite;
    const char *subject = what[n->what <= NONFINITE_UPDATE ? n->what : NONFINITE_NOTHING];
    if (story->layer) {
        text_add(t, "layer %.*s: its %s became NaN or infinite", TEXT_NAME_SHOWN, story->layer,
                 subject);
    } else if (n->what == NONFINITE_LOSS) {
        text_add(t, "the loss became NaN or infinite");
    } else {
        text_add(t, "the %s of all %" PRIu64 " layers became NaN or infinite", subject, n->others);
    }
    text_add(t, " at step %" PRId64, l->since);
    if (story->layer && n->others > 0) {
        text_add(t, ", with that of %" PRIu64 " other layer%s", n->others,
                 n->others == 1 ? "" : "s");
    }
}
