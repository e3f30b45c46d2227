#include "probes/steady.h"

#include "base/num.h"
#include "probes/student.h"

#include <math.h>

#define AGREE_ERRORS 3.5
#define BREAK_ERRORS 6.0
#define ROUNDING 1e-9     // relative differences below it are none
#define ROWS_TO_LEARN 4   // blocks until the window is worth comparing with
#define JUDGED_MIN 16     // fresh blocks until their scatter is known
#define JUDGED_MEMORY 64  // and how many it remembers
#define OUTLIER 9.0       // squared standard deviations that one fresh block may count for
#define ROWS_TO_COMPARE 6 // complete blocks that tell the scatter of longer ones

static const enum column watched[LEDGER_WATCHED] = {COLUMN_KINETIC, COLUMN_GW};

// The distance of x from the level m, bursts drawn in.
static double distance(double x, double m) {
    return m > 0 && x > m ? 3 * m * (cbrt(x / m) - 1) : x - m;
}

// x lies within `errors` standard errors, widened as Student's t is, of what n values predict.
static bool is_predicted(double x, const double *values, size_t n, double errors) {
    double mean = 0, squares = 0, count = (double)n;
    for (size_t i = 0; i < n; i++) {
        mean += values[i] / count;
    }
    for (size_t i = 0; i < n; i++) {
        double off = distance(values[i], mean);
        squares += off * off;
    }
    double few = student_t975((unsigned)n - 1) / NORMAL_975;
    double error = sqrt(squares / (count - 1) * (1 + 1 / count));
    return !(fabs(distance(x, mean)) > errors * few * error + ROUNDING * fabs(mean));
}

static bool halves_agree(const double v[LEDGER_ROWS]) {
    double d[LEDGER_ROWS], older = 0, newer = 0, squares = 0, mean = 0;
    for (size_t r = 0; r < LEDGER_ROWS; r++) {
        mean += v[r] / LEDGER_ROWS;
    }
    for (size_t r = 0; r < LEDGER_ROWS; r++) {
        d[r] = distance(v[r], mean);
        *(r < LEDGER_ROWS / 2 ? &older : &newer) += d[r] / (LEDGER_ROWS / 2);
        squares += r > 0 ? (d[r] - d[r - 1]) * (d[r] - d[r - 1]) : 0;
    }
    // Half the mean squared difference is the variance of a block; the halves are means of four.
    double variance = squares / (2 * (LEDGER_ROWS - 1));
    double error = sqrt(variance * 2 / (LEDGER_ROWS / 2));
    return !(fabs(newer - older) > AGREE_ERRORS * error + ROUNDING * fabs(mean));
}

// NaN, where a block did not measure, says nothing.
bool steady_may_merge(const struct ledger *l) {
    double v[LEDGER_WATCHED + 1][LEDGER_ROWS];
    bool any = false, agree = true;
    for (size_t r = 0; r < LEDGER_ROWS; r++) {
        for (size_t i = 0; i < LEDGER_WATCHED; i++) {
            v[i][r] = ledger_row(l, r, watched[i]);
        }
        double den = ledger_row(l, r, COLUMN_LAG_DEN);
        v[LEDGER_WATCHED][r] = ledger_row(l, r, COLUMN_LAG_NUM) / (den > 0 ? den : num_missing());
    }
    for (size_t i = 0; i <= LEDGER_WATCHED; i++) {
        any = any || !isnan(v[i][LEDGER_ROWS - 1]);
        agree = agree && halves_agree(v[i]) &&
                is_predicted(v[i][0], &v[i][1], LEDGER_ROWS - 1, AGREE_ERRORS);
    }
    return any && agree;
}

// The window without its fresh steps.
static bool settled_average(const struct ledger *l, enum column c, double *value) {
    double sum = 0, steps = 0;
    for (size_t r = 0; r < l->rows; r++) {
        bool measured = !isnan(ledger_row(l, r, c));
        sum += measured ? l->block * ledger_row(l, r, c) : 0;
        steps += measured ? l->block : 0;
    }
    sum += l->sum[c];
    steps += l->count[c];
    *value = steps > 0 ? sum / steps : num_missing();
    return steps > 0;
}

static bool fresh_breaks(struct ledger *l, size_t i) {
    enum column c = watched[i];
    double window;
    if (l->fresh_count[c] == 0 || l->rows < ROWS_TO_LEARN || !settled_average(l, c, &window)) {
        return false;
    }
    double off = distance(l->fresh[c] / l->fresh_count[c], window), square = off * off;
    double least = ROUNDING * ROUNDING * window * window;
    bool known = l->judged[i] >= JUDGED_MIN;
    if (known && square > BREAK_ERRORS * BREAK_ERRORS * l->scatter[i] + least) {
        return true;
    }
    l->judged[i] = (uint8_t)(l->judged[i] + (l->judged[i] < JUDGED_MEMORY));
    square = known ? fmin(square, OUTLIER * l->scatter[i]) : square;
    l->scatter[i] += (square - l->scatter[i]) / l->judged[i];
    return false;
}

// A slow change, that no fresh block shows, shows in the longer block that it completes.
static bool block_breaks(const struct ledger *l, enum column c) {
    double values[LEDGER_ROWS], count = (double)l->count[c] + l->fresh_count[c];
    double newest = (l->sum[c] + l->fresh[c]) / (count > 0 ? count : num_missing());
    for (size_t r = 0; r < l->rows; r++) {
        values[r] = ledger_row(l, r, c);
    }
    return !is_predicted(newest, values, l->rows, BREAK_ERRORS);
}

bool steady_breaks(struct ledger *l) {
    bool completes = l->block > LEDGER_FRESH && l->rows >= ROWS_TO_COMPARE &&
                     l->filled + l->fresh_filled >= l->block;
    bool breaks = false;
    for (size_t i = 0; i < LEDGER_WATCHED; i++) {
        breaks = fresh_breaks(l, i) || (completes && block_breaks(l, watched[i])) || breaks;
    }
    return breaks;
}
