// A jump: an observation that begins a run of its own (bocpd.h) among the divergences, above what
// was usual, and large enough to matter. Between samples of one distribution the divergence is
// about a chi-squared, whose cube root is nearly normal (Wilson & Hilferty 1931).
#include "probes/output_probe.h"

#include "base/check.h"
#include "base/num.h"
#include "config/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JUMP_PROBABILITY 0.9
#define JUMP_RUN 50         // windows between jumps, expected
#define JUMP_WINDOWS 8      // divergences that tell what is usual
#define JUMP_TIMES 4.0      // the usual divergence at least
#define JUMP_VARIATION 0.05 // total variation at least
#define DIVERGENCE_MIN 1e-12

static const char needs_two[] = "needs two windows", bins_changed[] = "the bins changed";

static struct distribution_figure none(const char *reason) {
    return (struct distribution_figure){.value = num_missing(), .reason = reason};
}

void output_probe_free(struct output_probe *p) {
    free(p->bins);
    free(p->counts);
    p->bins = p->counts = NULL;
}

void output_probe_begin(struct output_probe *p) {
    output_probe_free(p);
    *p = (struct output_probe){.step = -1,
                               .entropy = none("needs outputs"),
                               .total_variation = none(needs_two),
                               .jensen_shannon = none(needs_two)};
}

static bool same_bins(const struct output_probe *p, const double *bins, size_t n_bins,
                      size_t n_counts) {
    return p->n_bins == n_bins && p->n_counts == n_counts &&
           memcmp(p->bins, bins, n_bins * sizeof *bins) == 0;
}

static void keep(double **list, const double *from, size_t n) {
    *list = must_grow(*list, n * sizeof **list); // bounded by LIMIT_OUTPUT_BINS
    memcpy(*list, from, n * sizeof **list);
}

// The most probable run that has something to tell has the level before.
static double usual(const struct output_probe *p) {
    const struct bocpd *b = &p->jumps;
    const struct bocpd_run *best = NULL;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct bocpd_run *run = &b->runs[i];
        if (run->length > 0 && (!best || run->log_probability > best->log_probability)) {
            best = run;
        }
    }
    return best ? p->scale * pow(fmax(best->mean, 0), 3) : num_missing();
}

static bool find_jump(struct output_probe *p, struct phase_change *change) {
    double d = p->jensen_shannon.value;
    if (!p->has_jumps) {
        // The scatter of a chi-squared's cube root, and hardly an idea of the level.
        p->scale = fmax(d, DIVERGENCE_MIN);
        bocpd_start(&p->jumps, JUMP_RUN, 1, 0.01, 1, 0.1);
        p->has_jumps = true;
    }
    double before = usual(p);
    bocpd_add(&p->jumps, cbrt(d / p->scale));
    double probability = bocpd_exactly(&p->jumps, 1);
    bool is_large = d > JUMP_TIMES * before && d > JUMP_TIMES * p->jensen_shannon.floor &&
                    p->total_variation.value > JUMP_VARIATION;
    *change = (struct phase_change){.what = PHASE_OUTPUTS,
                                    .step = p->step,
                                    .found = p->step,
                                    .probability = probability,
                                    .before = before,
                                    .after = d};
    return p->windows > JUMP_WINDOWS + 1 && is_large && probability > JUMP_PROBABILITY;
}

bool output_probe_add(struct output_probe *p, int64_t step, const double *bins, size_t n_bins,
                      const double *counts, size_t n_counts, struct phase_change *change,
                      bool *changed) {
    *changed = false;
    if (step <= p->step) {
        return false;
    }
    p->step = step;
    p->windows++;
    p->entropy = distribution_entropy(counts, n_counts);
    if (p->windows > 1) {
        bool same = same_bins(p, bins, n_bins, n_counts);
        p->total_variation =
            same ? distribution_total_variation(p->counts, counts, n_counts) : none(bins_changed);
        p->jensen_shannon =
            same ? distribution_divergence(p->counts, counts, n_counts) : none(bins_changed);
        *changed = same && find_jump(p, change);
    }
    keep(&p->bins, bins, n_bins);
    keep(&p->counts, counts, n_counts);
    p->n_bins = n_bins;
    p->n_counts = n_counts;
    return true;
}

// --- as bytes ---

struct saved_figure {
    double value, error, floor;
};

struct saved {
    int64_t step;
    uint64_t windows, n_bins, n_counts;
    struct saved_figure entropy, total_variation, jensen_shannon;
    double scale;
    uint64_t differ, has_jumps; // the distances' reason is that the bins changed
};

static struct saved_figure save_figure(const struct distribution_figure *f) {
    return (struct saved_figure){f->value, f->error, f->floor};
}

static struct distribution_figure load_figure(const struct saved_figure *f, const char *reason) {
    return (struct distribution_figure){f->value, f->error, f->floor,
                                        num_is_missing(f->value) ? reason : NULL};
}

void output_probe_save(const struct output_probe *p, struct buf *out) {
    struct saved s = {.step = p->step,
                      .windows = p->windows,
                      .n_bins = p->n_bins,
                      .n_counts = p->n_counts,
                      .entropy = save_figure(&p->entropy),
                      .total_variation = save_figure(&p->total_variation),
                      .jensen_shannon = save_figure(&p->jensen_shannon),
                      .scale = p->scale,
                      .differ = p->jensen_shannon.reason == bins_changed,
                      .has_jumps = p->has_jumps};
    buf_put(out, &s, sizeof s);
    buf_put(out, p->bins, p->n_bins * sizeof *p->bins);
    buf_put(out, p->counts, p->n_counts * sizeof *p->counts);
    if (p->has_jumps) {
        buf_put(out, &p->jumps, sizeof p->jumps);
    }
}

static bool is_valid(const struct saved *s) {
    return s->n_counts <= LIMIT_OUTPUT_BINS && s->n_bins <= s->n_counts + 1 && s->differ <= 1 &&
           s->has_jumps <= 1 && s->step >= -1;
}

size_t output_probe_load(struct output_probe *p, const void *bytes, size_t size) {
    struct saved s;
    if (size < sizeof s) {
        return 0;
    }
    memcpy(&s, bytes, sizeof s);
    if (!is_valid(&s)) {
        return 0;
    }
    size_t bins = s.n_bins * sizeof(double), counts = s.n_counts * sizeof(double);
    size_t jumps = s.has_jumps ? sizeof p->jumps : 0, all = sizeof s + bins + counts + jumps;
    const char *at = (const char *)bytes + sizeof s;
    struct bocpd b = {0};
    if (size < all) {
        return 0;
    }
    if (jumps) {
        memcpy(&b, at + bins + counts, jumps);
        if (!bocpd_is_valid(&b)) {
            return 0;
        }
    }
    output_probe_begin(p);
    p->step = s.step;
    p->windows = s.windows;
    p->n_bins = s.n_bins;
    p->n_counts = s.n_counts;
    p->bins = must_alloc(bins + 1);
    p->counts = must_alloc(counts + 1);
    memcpy(p->bins, at, bins);
    memcpy(p->counts, at + bins, counts);
    const char *reason = s.differ ? bins_changed : needs_two;
    p->entropy = load_figure(&s.entropy, "needs outputs");
    p->total_variation = load_figure(&s.total_variation, reason);
    p->jensen_shannon = load_figure(&s.jensen_shannon, reason);
    p->scale = s.scale;
    p->jumps = b;
    p->has_jumps = s.has_jumps;
    return all;
}
