#include "probes/ledger.h"

#include "probes/jackknife.h"

#include <math.h>
#include <string.h>

void ledger_clear(struct ledger *l) {
    memset(l, 0, sizeof *l);
    l->block = 1;
}

static void merge_rows(struct ledger *l, size_t to, size_t from) {
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        l->sum[to][c] += l->sum[from][c];
        l->count[to][c] = (uint8_t)(l->count[to][c] + l->count[from][c]);
    }
}

static void move_row(struct ledger *l, size_t to, size_t from) {
    memcpy(l->sum[to], l->sum[from], sizeof l->sum[to]);
    memcpy(l->count[to], l->count[from], sizeof l->count[to]);
}

static void clear_row(struct ledger *l, size_t row) {
    memset(l->sum[row], 0, sizeof l->sum[row]);
    memset(l->count[row], 0, sizeof l->count[row]);
}

// The number of rows is odd: the last one is left alone and becomes half of a new block.
static void double_block(struct ledger *l) {
    for (size_t r = 0; 2 * r < LEDGER_ROWS; r++) {
        if (r > 0) {
            move_row(l, r, 2 * r);
        }
        if (2 * r + 1 < LEDGER_ROWS) {
            merge_rows(l, r, 2 * r + 1);
        }
    }
    l->rows = (LEDGER_ROWS + 1) / 2;
    l->filled = l->block;
    l->block = (uint8_t)(2 * l->block);
}

static void drop_oldest(struct ledger *l) {
    memmove(l->sum[0], l->sum[1], sizeof l->sum - sizeof l->sum[0]);
    memmove(l->count[0], l->count[1], sizeof l->count - sizeof l->count[0]);
    l->rows--;
}

static void make_room(struct ledger *l) {
    if (l->rows > 0 && l->filled < l->block) {
        return;
    }
    if (l->rows == LEDGER_ROWS && l->block < LEDGER_BLOCK_MAX) {
        double_block(l);
        return;
    }
    if (l->rows == LEDGER_ROWS) {
        drop_oldest(l);
    }
    clear_row(l, l->rows);
    l->rows++;
    l->filled = 0;
}

void ledger_add(struct ledger *l, const double row[COLUMN_COUNT]) {
    make_room(l);
    double *sum = l->sum[l->rows - 1];
    uint8_t *count = l->count[l->rows - 1];
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        bool measured = !isnan(row[c]);
        sum[c] += measured ? row[c] : 0;
        count[c] = (uint8_t)(count[c] + measured);
    }
    l->filled++;
}

void ledger_clear_column(struct ledger *l, enum column column) {
    for (size_t r = 0; r < LEDGER_ROWS; r++) {
        l->sum[r][column] = 0;
        l->count[r][column] = 0;
    }
}

unsigned ledger_steps(const struct ledger *l) {
    return l->rows == 0 ? 0 : (unsigned)(l->rows - 1) * l->block + l->filled;
}

struct totals {
    double num, den;
    unsigned num_count, den_count;
};

static bool row_has(const struct ledger *l, size_t row, enum column num, enum column den) {
    return l->count[row][num] > 0 && (den == COLUMN_NONE || l->count[row][den] > 0);
}

static void add_row(const struct ledger *l, size_t row, enum column num, enum column den,
                    struct totals *t) {
    if (!row_has(l, row, num, den)) {
        return;
    }
    t->num += l->sum[row][num];
    t->num_count += l->count[row][num];
    if (den != COLUMN_NONE) {
        t->den += l->sum[row][den];
        t->den_count += l->count[row][den];
    }
}

static bool quotient(const struct totals *t, enum column den, double *value) {
    if (t->num_count == 0) {
        return false;
    }
    double ratio = t->num / t->num_count;
    if (den != COLUMN_NONE) {
        double mean = t->den / t->den_count;
        if (!(fabs(mean) > 0)) {
            return false;
        }
        ratio /= mean;
    }
    *value = ratio;
    return isfinite(ratio);
}

bool ledger_ratio(const struct ledger *l, enum column num, enum column den, double *value) {
    struct totals t = {0};
    for (size_t r = 0; r < l->rows; r++) {
        add_row(l, r, num, den, &t);
    }
    return quotient(&t, den, value);
}

static size_t group_count(const struct ledger *l) {
    bool incomplete = l->rows > 1 && l->filled < l->block;
    return (size_t)l->rows - (incomplete ? 1 : 0);
}

static size_t group_of(const struct ledger *l, size_t row) {
    size_t last = group_count(l) - 1;
    return row < last ? row : last;
}

static void group_totals(const struct ledger *l, enum column num, enum column den,
                         struct totals groups[LEDGER_ROWS]) {
    memset(groups, 0, LEDGER_ROWS * sizeof *groups);
    for (size_t r = 0; r < l->rows; r++) {
        add_row(l, r, num, den, &groups[group_of(l, r)]);
    }
}

struct spread ledger_spread(const struct ledger *l, enum column num, enum column den) {
    struct totals groups[LEDGER_ROWS];
    double left_out[LEDGER_ROWS];
    size_t used = 0;
    group_totals(l, num, den, groups);
    for (size_t skip = 0; skip < l->rows; skip++) {
        if (groups[skip].num_count == 0) {
            continue;
        }
        struct totals rest = {0};
        for (size_t g = 0; g < l->rows; g++) {
            rest.num += g == skip ? 0 : groups[g].num;
            rest.den += g == skip ? 0 : groups[g].den;
            rest.num_count += g == skip ? 0 : groups[g].num_count;
            rest.den_count += g == skip ? 0 : groups[g].den_count;
        }
        if (!quotient(&rest, den, &left_out[used])) {
            return (struct spread){0};
        }
        used++;
    }
    return (struct spread){jackknife_error(left_out, used), (unsigned)used};
}

size_t ledger_pairs(const struct ledger *l, enum column x, enum column y, double xs[LEDGER_ROWS],
                    double ys[LEDGER_ROWS]) {
    struct totals groups[LEDGER_ROWS];
    size_t n = 0;
    group_totals(l, x, y, groups);
    for (size_t g = 0; g < l->rows; g++) {
        if (groups[g].num_count > 0) {
            xs[n] = groups[g].num / groups[g].num_count;
            ys[n] = groups[g].den / groups[g].den_count;
            n++;
        }
    }
    return n;
}

bool ledger_is_valid(const struct ledger *l) {
    return l->rows <= LEDGER_ROWS && l->block >= 1 && l->block <= LEDGER_BLOCK_MAX &&
           l->filled <= l->block;
}
