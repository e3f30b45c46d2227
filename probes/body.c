#include "probes/body.h"

#include "base/num.h"
#include "probes/coherence.h"
#include "probes/entropy.h"
#include "probes/gradient_noise.h"

#include <math.h>
#include <string.h>

void body_begin_segment(struct body *b) {
    ledger_clear(&b->ledger);
    ewma_pair_reset(&b->lag);
    b->lag_scatter = 0;
    b->lag_judged = 0;
    ewma_cross_reset(&b->scale);
    b->alpha = (float)num_missing();
    b->work = (struct neumaier){0};
    b->work_noise = 0;
    b->gu = b->weight2 = b->update2 = num_missing();
    b->variance_work = num_missing();
    b->seen = 0;
    b->nonfinite_run = b->frozen_run = b->dead_run = 0;
}

void body_clear(struct body *b) {
    memset(b, 0, sizeof *b);
    b->variance = b->variance_state = num_missing();
    body_begin_segment(b);
}

void body_begin_state(struct body *b) {
    ledger_clear_column(&b->ledger, COLUMN_ENERGY);
    ledger_clear_column(&b->ledger, COLUMN_ENTROPY);
    b->work = (struct neumaier){0};
    b->work_noise = 0;
    b->gu = num_missing();
    b->variance_state = b->variance_work = num_missing();
}

bool body_works(const struct body *b) {
    return b->seen & SEEN(NEED_WORK);
}

double body_work(const struct body *b) {
    return neumaier_value(&b->work);
}

bool body_is_dead(const struct body *b) {
    return b->dead_run >= BODY_FROZEN_STEPS;
}

bool body_is_frozen(const struct body *b) {
    return b->frozen_run >= BODY_FROZEN_STEPS;
}

// Plain SGD moves by -eta g, so g.dw is known without being sent.
static double gradient_on_update(const struct run *run, double n, const struct sample *s) {
    if (isnan(s->gu) && coherence_filter(run) == FILTER_NONE) {
        return -run->eta * s->gradient2 * n;
    }
    return s->gu;
}

// The work of the step before, counted for every step up to this one when some were not sent.
static double work_done(const struct body *b, const struct run *run) {
    return isnan(b->gu) || isnan(run->dt) ? 0 : b->gu * run->dt;
}

static double entropy_moved(const struct body *b, double n, const struct sample *s) {
    double origin = isnan(b->variance_state) ? s->weight_variance : b->variance_state;
    if (n < ENTROPY_SIZE_MIN || !(s->weight_variance > 0)) {
        return num_missing();
    }
    return entropy_change(n, origin, s->weight_variance);
}

// What has no step before it adds nothing: were it missing, the block's average would stand for it
// and the climbs would no longer add up to the difference of the ends.
static void measure_climb(const struct body *b, const struct run *run, const struct sample *s,
                          double *climb, double *path) {
    bool follows = !isnan(run->dt) && !isnan(b->weight2) && !isnan(b->update2);
    bool begins = !follows && !isnan(s->update2);
    if (isnan(s->weight2) || !(follows || begins)) {
        *climb = *path = num_missing();
    } else {
        *climb = follows ? s->weight2 - b->weight2 : 0;
        *path = follows ? b->update2 * run->dt : 0;
    }
}

bool body_measure(const struct body *b, const struct run *run, double n, const struct sample *s,
                  double row[ROW_COUNT]) {
    row[COLUMN_ENERGY] = body_works(b) || !isnan(gradient_on_update(run, n, s))
                             ? body_work(b) + work_done(b, run)
                             : num_missing();
    row[COLUMN_ENTROPY] = entropy_moved(b, n, s);
    row[COLUMN_WEIGHT2] = s->weight2;
    row[COLUMN_UPDATE2] = s->update2;
    row[COLUMN_KINETIC] = run->eta > 0 ? s->update2 / run->eta : num_missing();
    row[COLUMN_GW] = s->gw / n;
    coherence_measure(b, run, n, s, &row[COLUMN_LAG_NUM], &row[COLUMN_LAG_DEN]);
    measure_climb(b, run, s, &row[COLUMN_CLIMB], &row[COLUMN_PATH]);
    gradient_noise_measure(b, run, s, row);
    for (size_t c = 0; c < ROW_COUNT; c++) {
        if (isinf(row[c])) {
            return false;
        }
    }
    return true;
}

static void observe_work(struct body *b, const struct run *run, double n, const struct sample *s) {
    double gu = gradient_on_update(run, n, s), change = gu - b->gu;
    neumaier_add(&b->work, work_done(b, run));
    if (!isnan(change) && !isnan(run->dt)) {
        b->work_noise += change * change / 2 * run->dt;
    }
    b->gu = gu;
    b->seen |= isnan(gu) ? 0 : SEEN(NEED_WORK);
}

static void count_while(uint8_t *run, bool holds, bool counts) {
    if (!holds) {
        *run = 0;
    } else if (counts && *run < UINT8_MAX) {
        ++*run;
    }
}

// A learning rate of zero says nothing about the layer: it neither ends nor prolongs its stillness.
static void observe_stillness(struct body *b, const struct run *run, const struct sample *s) {
    bool pulled = s->gradient2 > 0, moved = s->update2 > 0;
    count_while(&b->dead_run, !pulled, !isnan(s->gradient2));
    count_while(&b->frozen_run, !pulled && !moved, !isnan(s->update2) && run->eta > 0);
    b->moved = b->moved || moved;
}

static void observe_variance(struct body *b, const struct sample *s) {
    if (isnan(s->weight_variance)) {
        return;
    }
    b->variance = s->weight_variance;
    if (s->weight_variance > 0) {
        b->variance_state = isnan(b->variance_state) ? b->variance : b->variance_state;
        b->variance_work = isnan(b->variance_work) ? b->variance : b->variance_work;
    }
}

enum ledger_event body_observe(struct body *b, const struct run *run, double n,
                               const struct sample *s, const double row[ROW_COUNT]) {
    enum ledger_event event = ledger_add(&b->ledger, row);
    if (!isnan(row[COLUMN_LAG_DEN])) {
        ewma_pair_add(&b->lag, EWMA_ALPHA, row[COLUMN_LAG_NUM], row[COLUMN_LAG_DEN]);
    }
    if (event != LEDGER_ADDED) {
        coherence_learn(b, run, event == LEDGER_BROKE);
    }
    if (!isnan(row[ROW_SPREAD])) {
        ewma_cross_add(&b->scale, row[ROW_SPREAD], row[ROW_SIGNAL]);
    }
    observe_work(b, run, n, s);
    observe_stillness(b, run, s);
    observe_variance(b, s);
    b->weight2 = s->weight2;
    b->update2 = s->update2;
    b->seen |= s->seen;
    b->alpha = isnan(s->alpha) ? b->alpha : (float)s->alpha;
    b->nonfinite_run = 0;
    return event;
}

void body_pass(struct body *b) {
    b->weight2 = b->update2 = num_missing();
}

void body_skip(struct body *b, bool weights_finite) {
    b->nonfinite++;
    body_pass(b);
    if (!weights_finite) {
        b->nonfinite_run = BODY_DIVERGED_STEPS;
    } else if (b->nonfinite_run < BODY_DIVERGED_STEPS) {
        b->nonfinite_run++;
    }
}
