#include "probes/heat_peak.h"

#include "base/num.h"

#include <math.h>
#include <string.h>

#define ERRORS 2   // standard errors to either side
#define TIMES 3    // how much higher than foot and end a peak is at least, interval from interval
#define MOST 1e100 // of a loss: products of what is larger need not be numbers

void heat_peak_begin(struct heat_peak *p) {
    memset(p, 0, sizeof *p);
    p->origin = p->previous = num_missing();
}

// The block at place i of the window, the oldest first.
static const struct peak_block *block(const struct heat_peak *p, uint64_t i) {
    return &p->ring[(p->blocks + i) % PEAK_WINDOW];
}

// C and its standard error. Each block's covariance is taken around the line through the blocks'
// energies; what the blocks differ by is the error.
static bool capacity(const struct heat_peak *p, double *value, double *error) {
    double mean = 0, slope = 0, spread = 0, kinetic = 0, covariance[PEAK_WINDOW];
    for (uint64_t i = 0; i < PEAK_WINDOW; i++) {
        double x = (double)i - (PEAK_WINDOW - 1) / 2.0;
        mean += block(p, i)->energy / PEAK_WINDOW;
        kinetic += block(p, i)->kinetic / PEAK_WINDOW;
        slope += x * block(p, i)->energy;
        spread += x * x;
    }
    slope /= spread;
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < PEAK_WINDOW; i++) {
        double line = mean + slope * ((double)i - (PEAK_WINDOW - 1) / 2.0);
        covariance[i] =
            block(p, i)->pair + line * line - line * (block(p, i)->energy + block(p, i)->lagged);
        sum += covariance[i];
    }
    for (uint64_t i = 0; i < PEAK_WINDOW; i++) {
        double off = covariance[i] - sum / PEAK_WINDOW;
        squares += off * off;
    }
    if (!(kinetic > 0)) {
        return false;
    }
    *value = sum / PEAK_WINDOW / kinetic / kinetic; // its square may be too small for a number
    *error = sqrt(squares / (PEAK_WINDOW - 1) / PEAK_WINDOW) / kinetic / kinetic;
    return isfinite(*value) && isfinite(*error);
}

// The lowest reading that shares no step with the newest.
static void follow_foot(struct heat_peak *p, double value, double high) {
    uint64_t at = p->readings % PEAK_WINDOW;
    bool is_known = p->readings >= PEAK_WINDOW;
    if (is_known && (!p->has_foot || p->past[at].high < p->foot.high)) {
        p->foot = p->past[at];
        p->has_foot = true;
    }
    p->past[at].value = value;
    p->past[at].high = high;
    p->readings++;
}

static bool judge(struct heat_peak *p, int64_t step, struct phase_change *change) {
    double value, error;
    if (!capacity(p, &value, &error)) {
        return false;
    }
    double low = value - ERRORS * error, high = value + ERRORS * error;
    follow_foot(p, value, high);
    if (p->has_foot && low > fmax(TIMES * p->foot.high, 0) && (!p->has_top || low > p->top_low)) {
        p->has_top = true;
        p->top = value;
        p->top_low = low;
        p->top_step = block(p, PEAK_WINDOW / 2)->step;
        p->top_at = p->readings;
    }
    if (!p->has_top || p->readings < p->top_at + PEAK_WINDOW || !(TIMES * high < p->top_low)) {
        return false;
    }
    *change = (struct phase_change){.what = PHASE_HEAT,
                                    .step = p->top_step,
                                    .found = step,
                                    .probability = num_missing(),
                                    .before = p->foot.value,
                                    .after = p->top};
    p->has_top = false;
    p->foot.value = value;
    p->foot.high = high;
    p->readings = 0;
    return true;
}

static bool end_block(struct heat_peak *p, int64_t step, struct phase_change *change) {
    p->ring[p->blocks++ % PEAK_WINDOW] = (struct peak_block){
        .step = p->sum.step,
        .energy = p->sum.energy / p->filled,
        .lagged = p->sum.lagged / p->pairs,
        .pair = p->sum.pair / p->pairs,
        .kinetic = p->sum.kinetic / p->filled,
    };
    p->filled = p->pairs = 0;
    memset(&p->sum, 0, sizeof p->sum);
    return p->blocks >= PEAK_WINDOW && judge(p, step, change);
}

bool heat_peak_add(struct heat_peak *p, int64_t step, double loss, double kinetic,
                   struct phase_change *change) {
    if (!(fabs(loss) <= MOST) || !(kinetic >= 0 && kinetic <= MOST)) {
        heat_peak_begin(p);
        return false;
    }
    p->origin = isnan(p->origin) ? loss : p->origin;
    if (p->filled == 0) {
        p->sum.step = step;
    }
    double energy = loss - p->origin;
    p->sum.energy += energy;
    p->sum.kinetic += kinetic;
    if (!isnan(p->previous)) {
        p->sum.lagged += p->previous;
        p->sum.pair += p->previous * energy;
        p->pairs++;
    }
    p->previous = energy;
    return ++p->filled >= PEAK_BLOCK && end_block(p, step, change);
}

bool heat_peak_is_valid(const struct heat_peak *p) {
    return p->filled < PEAK_BLOCK && p->pairs <= p->filled && p->has_foot <= 1 && p->has_top <= 1;
}
