#include "probes/ledger.h"

#include "base/num.h"
#include "probes/jackknife.h"
#include "probes/steady.h"

#include <math.h>
#include <string.h>

static void clear_sums(struct ledger *l) {
    memset(l->sum, 0, sizeof l->sum);
    memset(l->count, 0, sizeof l->count);
    l->filled = 0;
}

static void clear_fresh(struct ledger *l) {
    memset(l->fresh, 0, sizeof l->fresh);
    memset(l->fresh_count, 0, sizeof l->fresh_count);
    l->fresh_filled = 0;
}

void ledger_clear(struct ledger *l) {
    memset(l, 0, sizeof *l);
    l->block = 1;
}

static double average(double sum, double count) {
    return count > 0 ? sum / count : num_missing();
}

static double average_of_both(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return isnan(a) ? b : a;
    }
    return a / 2 + b / 2;
}

static void keep(struct ledger *l, size_t r, const double row[COLUMN_COUNT]) {
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        l->kept[r][c] = packed_from(row[c]);
    }
}

static void merge_neighbours(struct ledger *l) {
    double row[COLUMN_COUNT];
    for (size_t r = 0; r < LEDGER_ROWS / 2; r++) {
        for (enum column c = 0; c < COLUMN_COUNT; c++) {
            row[c] = average_of_both(ledger_row(l, 2 * r, c), ledger_row(l, 2 * r + 1, c));
        }
        keep(l, r, row);
    }
    l->rows = LEDGER_ROWS / 2;
    l->block *= 2;
}

static void replace_oldest(struct ledger *l) {
    memmove(l->kept[0], l->kept[1], sizeof l->kept - sizeof l->kept[0]);
    keep(l, LEDGER_ROWS - 2, l->sum);
}

static void complete_block(struct ledger *l) {
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        l->sum[c] = average(l->sum[c], l->count[c]);
    }
    if (l->rows < LEDGER_ROWS - 1) {
        keep(l, l->rows++, l->sum);
    } else if (l->block < LEDGER_FRESH || (l->block < LEDGER_BLOCK_MAX && steady_may_merge(l))) {
        merge_neighbours(l);
    } else {
        replace_oldest(l);
    }
    clear_sums(l);
}

static void begin_anew(struct ledger *l) {
    l->rows = 0;
    l->block = LEDGER_FRESH;
    memset(l->judged, 0, sizeof l->judged);
    memset(l->scatter, 0, sizeof l->scatter);
    clear_sums(l);
}

static enum ledger_event fold_fresh(struct ledger *l) {
    bool broke = l->block >= LEDGER_FRESH && steady_breaks(l);
    if (broke) {
        begin_anew(l);
    }
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        l->sum[c] += l->fresh[c];
        l->count[c] += l->fresh_count[c];
    }
    l->filled += l->fresh_filled;
    clear_fresh(l);
    if (l->filled >= l->block) {
        complete_block(l);
    }
    return broke ? LEDGER_BROKE : LEDGER_FOLDED;
}

enum ledger_event ledger_add(struct ledger *l, const double row[COLUMN_COUNT]) {
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        bool measured = !isnan(row[c]);
        l->fresh[c] += measured ? row[c] : 0;
        l->fresh_count[c] = (uint8_t)(l->fresh_count[c] + measured);
    }
    l->fresh_filled++;
    if (l->fresh_filled < LEDGER_FRESH && l->fresh_filled < l->block) {
        return LEDGER_ADDED;
    }
    return fold_fresh(l);
}

void ledger_clear_column(struct ledger *l, enum column column) {
    for (size_t r = 0; r < l->rows; r++) {
        l->kept[r][column] = packed_from(num_missing());
    }
    l->sum[column] = l->fresh[column] = 0;
    l->count[column] = 0;
    l->fresh_count[column] = 0;
}

// Steps that are not yet a complete block.
static unsigned tail_steps(const struct ledger *l) {
    return l->filled + l->fresh_filled;
}

unsigned ledger_steps(const struct ledger *l) {
    return l->rows * l->block + tail_steps(l);
}

// Parts are the complete blocks, and the tail behind them when there is one.
static size_t parts(const struct ledger *l) {
    return (size_t)l->rows + (tail_steps(l) > 0 ? 1 : 0);
}

static double part_average(const struct ledger *l, size_t part, enum column c) {
    if (part < l->rows) {
        return ledger_row(l, part, c);
    }
    return average(l->sum[c] + l->fresh[c], (double)l->count[c] + l->fresh_count[c]);
}

struct totals {
    double num, den, steps;
};

static void add_part(const struct ledger *l, size_t part, enum column num, enum column den,
                     struct totals *t) {
    double x = num == COLUMN_NONE ? 1 : part_average(l, part, num);
    double y = den == COLUMN_NONE ? 1 : part_average(l, part, den);
    double steps = part < l->rows ? l->block : tail_steps(l);
    if (!isnan(x) && !isnan(y)) {
        t->num += steps * x;
        t->den += steps * y;
        t->steps += steps;
    }
}

static bool quotient(const struct totals *t, double *value) {
    if (!(t->steps > 0) || !(fabs(t->den) > 0)) {
        return false;
    }
    *value = t->num / t->den;
    return isfinite(*value);
}

bool ledger_ratio(const struct ledger *l, enum column num, enum column den, double *value) {
    struct totals t = {0};
    for (size_t p = 0; p < parts(l); p++) {
        add_part(l, p, num, den, &t);
    }
    return quotient(&t, value);
}

static size_t group_totals(const struct ledger *l, enum column num, enum column den,
                           struct totals groups[LEDGER_ROWS]) {
    bool joined = l->rows > 0 && 2 * tail_steps(l) < l->block;
    memset(groups, 0, LEDGER_ROWS * sizeof *groups);
    for (size_t p = 0; p < parts(l); p++) {
        add_part(l, p, num, den, &groups[joined && p == l->rows ? p - 1 : p]);
    }
    return joined ? l->rows : parts(l);
}

struct spread ledger_spread(const struct ledger *l, enum column num, enum column den) {
    struct totals groups[LEDGER_ROWS];
    double left_out[LEDGER_ROWS];
    size_t used = 0, n = group_totals(l, num, den, groups);
    for (size_t skip = 0; skip < n; skip++) {
        if (!(groups[skip].steps > 0)) {
            continue;
        }
        struct totals rest = {0};
        for (size_t g = 0; g < n; g++) {
            rest.num += g == skip ? 0 : groups[g].num;
            rest.den += g == skip ? 0 : groups[g].den;
            rest.steps += g == skip ? 0 : groups[g].steps;
        }
        if (!quotient(&rest, &left_out[used])) {
            return (struct spread){0};
        }
        used++;
    }
    return (struct spread){jackknife_error(left_out, used), (unsigned)used};
}

size_t ledger_groups(const struct ledger *l, enum column c, double sums[LEDGER_ROWS]) {
    struct totals groups[LEDGER_ROWS];
    size_t n = group_totals(l, c, COLUMN_NONE, groups);
    for (size_t g = 0; g < n; g++) {
        sums[g] = groups[g].steps > 0 ? groups[g].num : num_missing();
    }
    return n;
}

size_t ledger_pairs(const struct ledger *l, enum column x, enum column y, double xs[LEDGER_ROWS],
                    double ys[LEDGER_ROWS]) {
    struct totals groups[LEDGER_ROWS];
    size_t n = 0, all = group_totals(l, x, y, groups);
    for (size_t g = 0; g < all; g++) {
        if (groups[g].steps > 0) {
            xs[n] = groups[g].num / groups[g].steps;
            ys[n] = groups[g].den / groups[g].steps;
            n++;
        }
    }
    return n;
}

static void add_to_group(const struct ledger *l, size_t part, const enum column *columns, size_t n,
                         struct ledger_group *group) {
    double value[LEDGER_TOGETHER], steps = part < l->rows ? l->block : tail_steps(l);
    for (size_t c = 0; c < n; c++) {
        value[c] = part_average(l, part, columns[c]);
        if (isnan(value[c])) {
            return;
        }
    }
    for (size_t c = 0; c < n; c++) {
        group->sum[c] += steps * value[c];
    }
    group->middle += steps * ((double)part * l->block + steps / 2);
    group->steps += steps;
}

size_t ledger_together(const struct ledger *l, const enum column *columns, size_t n,
                       struct ledger_group groups[LEDGER_ROWS]) {
    bool joined = l->rows > 0 && 2 * tail_steps(l) < l->block;
    size_t used = 0, all = joined ? l->rows : parts(l);
    memset(groups, 0, LEDGER_ROWS * sizeof *groups);
    for (size_t p = 0; p < parts(l); p++) {
        add_to_group(l, p, columns, n, &groups[joined && p == l->rows ? p - 1 : p]);
    }
    for (size_t g = 0; g < all; g++) {
        if (groups[g].steps > 0) {
            groups[used] = groups[g];
            groups[used++].middle /= groups[g].steps;
        }
    }
    return used;
}

bool ledger_is_valid(const struct ledger *l) {
    return l->rows < LEDGER_ROWS && l->block >= 1 && l->block <= LEDGER_BLOCK_MAX &&
           l->filled < l->block && l->fresh_filled < LEDGER_FRESH;
}
