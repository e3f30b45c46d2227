// A layer's instruments: what of it jumps, grows, stands still or does not add up.
//
// What is in proportion to the learning rate is taken per learning rate, so that a schedule moves
// nothing here.
#include "alerts/state.h"

#include "base/num.h"

#include <math.h>
#include <string.h>

#define SHRINKS 1e-4  // of the weights' size, a step
#define LR_SHARE 0.01 // of the highest: what a smaller learning rate does drowns in rounding
#define LR_MAX 1e100  // beyond this sums would no longer be finite
#define GAIN_BLOCK 8  // steps

// See struct dwindling.
#define DWINDLE_STEPS 64
#define DWINDLE_MEMORY 256 // steps

// The floors: of logarithms, so that a regular run's smaller changes are no jumps; of the weights'
// size a step.
static const struct level_settings of_jumps = {
    .memory = 32, .floor = JUMPS_FLOOR, .learn = 64, .hold = 64};
static const struct level_settings of_growth = {
    .memory = 32, .floor = 1e-6, .learn = 64, .hold = 200};

// See struct gain.
#define GAIN_FLOOR 0.05 // of a logarithm
#define GAIN_LEARN 16   // blocks
#define GAIN_MEMORY 64. // blocks
#define GAIN_SUSPECT 3
#define GAIN_HOLD 64 // blocks
// What changes fast shows in single blocks; what changes slowly, or drowns in a small batch's
// noise, in the means of several.
static const unsigned gain_lags[GAIN_SPANS] = {4, 12}, gain_widths[GAIN_SPANS] = {1, 4}; // blocks

// Of a layer's values; num_missing() when not sent.
static inline double mean_square(const struct thermo_step *step, enum statistic mean,
                                 enum statistic var, size_t layer) {
    const double *m = step->stat[mean], *v = step->stat[var];
    return m && v ? m[layer] * m[layer] + v[layer] : num_missing();
}

#define COURSE_LEARN 16 // losses
#define COURSE_RATE 0.1
#define BY_HEART 0.03 // of the first losses

static double half_log(double square) {
    return square > 0 ? log(square) / 2 : num_missing();
}

static void follow_lead(struct lead *l, size_t layer, double off) {
    if (off > l->first) {
        l->second = l->first;
        l->first = off;
        l->layer = layer;
    } else if (off > l->second) {
        l->second = off;
    }
}

#define LEAD_WEIGHT 2 // in healthy recordings none was far

static void measure_lead(struct alerts *a) {
    struct lead *l = &a->watch.lead;
    bool is_known = isfinite(l->second); // one layer leads nobody
    double gap = is_known ? l->first - fmax(l->second, 0) : num_missing();
    double z = level_observe(&l->gap, &of_jumps, gap);
    if (gap > JUMPS_FAR && z > 0) {
        a->scopes[l->layer].alone = (float)(LEAD_WEIGHT * z);
    }
}

static void measure_jumps(struct watch *w, struct scope *s, const struct sizes *z,
                          const struct thermo_step *step, size_t layer, double log_lr) {
    double gradient = half_log(z->gradient2), update = half_log(z->update2) - log_lr;
    double output = half_log(mean_square(step, STAT_Z_MEAN, STAT_Z_VAR, layer));
    if (isnan(output)) {
        output = half_log(mean_square(step, STAT_A_MEAN, STAT_A_VAR, layer));
    }
    if (s->jumps[CHANNEL_GRADIENT].count >= of_jumps.learn) {
        follow_lead(&w->lead, layer, gradient - s->jumps[CHANNEL_GRADIENT].mean);
    }
    level_observe(&s->jumps[CHANNEL_GRADIENT], &of_jumps, gradient);
    level_observe(&s->jumps[CHANNEL_UPDATE], &of_jumps, update);
    s->fell = (float)fmax(-s->jumps[CHANNEL_OUTPUT].z, 0);
    level_observe(&s->jumps[CHANNEL_OUTPUT], &of_jumps, output);
}

// The learning rate of a step: its share of the highest, its logarithm, and itself, though not less
// than LR_SHARE of the highest.
struct rate {
    double share, log, least;
};

static void measure_dwindling(struct dwindling *d, double growth, double lr_sum) {
    if (!isfinite(growth) || !(lr_sum > 0)) {
        return;
    }
    d->lost -= d->lost / DWINDLE_STEPS + growth;
    double share = d->lost > 0 ? d->lost / lr_sum : 0;
    d->usual += (share - d->usual) / DWINDLE_MEMORY;
}

static void measure_growth(struct scope *s, double weight_rms, const struct rate *rate,
                           double lr_sum) {
    double growth = s->weight_rms > 0 ? log(weight_rms / s->weight_rms) : num_missing();
    level_observe(&s->growth, &of_growth, growth / rate->share);
    measure_dwindling(&s->dwindling, growth, lr_sum);
    s->shrinks = growth < -SHRINKS;
    s->weight_rms = weight_rms;
}

static void measure_stillness(struct watch *w, struct stillness *s, double gradient2) {
    if (isnan(gradient2)) {
        return;
    }
    if (gradient2 > 0) {
        s->longest = s->steps > s->longest ? s->steps : s->longest;
        s->steps = 0;
        s->moving += s->moving < UINT32_MAX;
        w->live_layers++;
    } else {
        s->steps += s->steps < UINT32_MAX;
        w->still_layers += s->moving > 0;
    }
}

// A change beside what is usual. While it is suspect nothing is learnt.
static void judge_gain(struct gain_change *c, double change) {
    c->z = c->learnt >= GAIN_LEARN ? change / fmax(c->spread, GAIN_FLOOR) : 0;
    if (fabs(c->z) > GAIN_SUSPECT && ++c->held < GAIN_HOLD) {
        return;
    }
    c->held = 0;
    c->learnt += c->learnt < UINT32_MAX;
    c->spread += fmax(1 / GAIN_MEMORY, 1. / c->learnt) * (1.2533 * fabs(change) - c->spread);
}

// The mean of so many blocks, of which the newest is `back` blocks old.
static double gain_mean(const struct gain *g, unsigned back, unsigned blocks) {
    double sum = 0;
    for (unsigned i = 0; i < blocks; i++) {
        sum += g->blocks[(g->n - back - i) % GAIN_BLOCKS];
    }
    return sum / blocks;
}

static void measure_gain(struct gain *g, const struct thermo_step *step, size_t layer) {
    double x = half_log(mean_square(step, STAT_Z_MEAN, STAT_Z_VAR, layer)) -
               half_log(mean_square(step, STAT_W_MEAN, STAT_W_VAR, layer));
    if (!isfinite(x)) {
        return;
    }
    g->sum += x;
    if (++g->filled < GAIN_BLOCK) {
        return;
    }
    g->blocks[++g->n % GAIN_BLOCKS] = g->sum / g->filled;
    g->sum = 0;
    g->filled = 0;
    for (enum gain_span i = 0; i < GAIN_SPANS; i++) {
        unsigned lag = gain_lags[i], blocks = gain_widths[i];
        if (g->n >= lag + blocks) {
            judge_gain(&g->of[i], gain_mean(g, 0, blocks) - gain_mean(g, lag, blocks));
        }
    }
}

static void measure_layer(struct alerts *a, const struct thermo_step *step, size_t layer,
                          const struct rate *rate) {
    struct scope *s = &a->scopes[layer];
    struct sizes *z = &a->sizes[layer];
    const double *const *stat = step->stat;
    z->gradient2 = mean_square(step, STAT_G_MEAN, STAT_G_VAR, layer);
    z->update2 = mean_square(step, STAT_U_MEAN, STAT_U_VAR, layer);
    z->weight2 = mean_square(step, STAT_W_MEAN, STAT_W_VAR, layer);
    double weight_rms = sqrt(z->weight2);
    z->update_rms = sqrt(z->update2);
    if (stat[STAT_W_MEAN] && stat[STAT_W_VAR] && stat[STAT_U_MEAN] && stat[STAT_U_VAR]) {
        s->unaccounted = books_observe(&s->books, step->step, stat[STAT_W_MEAN][layer], weight_rms,
                                       stat[STAT_U_MEAN][layer], z->update_rms);
    }
    s->alone = 0;
    measure_stillness(&a->watch, &s->still, z->gradient2);
    measure_growth(s, weight_rms, rate, a->watch.lr_sum);
    if (a->watch.batch_steps == 0) {
        measure_jumps(&a->watch, s, z, step, layer, rate->log);
    }
}

// 0 where none sends any.
static size_t first_with_outputs(const struct alerts *a, const struct thermo_step *step) {
    size_t i = 0;
    while (i < a->n_layers && !(mean_square(step, STAT_Z_MEAN, STAT_Z_VAR, i) >= 0)) {
        i++;
    }
    return i < a->n_layers ? i : 0;
}

static void measure_course(struct course *c, double loss) {
    if (!(loss > 0) || isinf(loss)) {
        c->by_heart = false;
        return;
    }
    if (c->count < COURSE_LEARN) {
        c->count++;
        c->first += (log(loss) - c->first) / c->count;
        c->now = loss;
        return;
    }
    c->now += COURSE_RATE * (loss - c->now);
    c->by_heart = fmax(c->now, loss) < BY_HEART * exp(c->first);
}

enum severity severity_here(const struct look *look) {
    return look->a->watch.course.by_heart ? SEVERITY_INFO : look->rule->severity;
}

bool loss_suffers(const struct watch *w) {
    return w->rising.sum.sum >= LOSS_SUFFERS && !w->course.by_heart;
}

void measure_layers(struct alerts *a, const struct thermo_step *step) {
    const struct pace *p = &a->watch.pace;
    struct rate rate = {.share = 1, .least = fmin(fmax(p->lr, LR_SHARE * p->highest), LR_MAX)};
    if (p->lr > 0 && p->highest > 0) {
        rate.share = fmax(p->lr / p->highest, LR_SHARE);
        rate.log = log(p->lr);
    }
    a->watch.lr_sum += rate.least - a->watch.lr_sum / DWINDLE_STEPS;
    measure_course(&a->watch.course, step->loss);
    a->watch.still_layers = a->watch.live_layers = 0;
    a->watch.lead.first = a->watch.lead.second = -(double)INFINITY;
    for (size_t i = 0; i < a->n_layers; i++) {
        measure_layer(a, step, i, &rate);
    }
    if (a->watch.batch_steps == 0) {
        measure_lead(a);
        measure_gain(&a->watch.gain, step, first_with_outputs(a, step));
    }
}

void measure_move(struct scope *s, double widen) {
    for (enum channel c = CHANNEL_GRADIENT; c < CHANNELS; c++) {
        level_move(&s->jumps[c], widen);
    }
    memset(&s->movement, 0, sizeof s->movement);
}

void measure_begin(struct scope *s) {
    memset(s->jumps, 0, sizeof s->jumps);
    memset(&s->movement, 0, sizeof s->movement);
    s->dwindling.lost = 0;
    s->weight_rms = num_missing();
}
