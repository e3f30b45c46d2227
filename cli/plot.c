#include "cli/plot.h"

#include <math.h>
#include <string.h>

static const double log_from_ratio = 3;

static void find_range(struct plot *plot, const double *values, size_t count) {
    plot->low = plot->high = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            plot->low = fmin(plot->low, values[i]);
            plot->high = fmax(plot->high, values[i]);
        }
    }
    plot->logarithmic = plot->low > 0 && plot->high / plot->low > log_from_ratio;
}

// Height of a value above the bottom, in dots.
static int height_of(const struct plot *plot, double value) {
    int top = 4 * plot->rows - 1;
    double low = plot->logarithmic ? log(plot->low) : plot->low;
    double high = plot->logarithmic ? log(plot->high) : plot->high;
    double at = plot->logarithmic ? log(value) : value;
    // Halves, so that the whole range of doubles does not overflow.
    return high > low ? (int)lround((at / 2 - low / 2) / (high / 2 - low / 2) * top) : top / 2;
}

static void set_dot(struct plot *plot, int x, int height) {
    static const unsigned char bits[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int y = 4 * plot->rows - 1 - height;
    plot->dots[y / 4][x / 2] |= bits[y % 4][x % 2];
}

// Joined to its neighbour by a vertical stroke, so that a jump stays one line.
static void set_stroke(struct plot *plot, int x, int from, int to) {
    int step = from < to ? 1 : -1;
    for (int height = from; height != to; height += step) {
        set_dot(plot, x, height);
    }
    set_dot(plot, x, to);
}

void plot_draw(struct plot *plot, const double *values, size_t count, int columns, int rows) {
    memset(plot, 0, sizeof *plot);
    plot->columns = columns < PLOT_COLUMNS_MAX ? columns : PLOT_COLUMNS_MAX;
    plot->rows = rows < PLOT_ROWS_MAX ? rows : PLOT_ROWS_MAX;
    find_range(plot, values, count);
    int points = 2 * plot->columns;
    int before = -1;
    for (int x = 0; x < points && count > 0; x++) {
        size_t i = points > 1 ? (size_t)x * (count - 1) / (size_t)(points - 1) : 0;
        if (!isfinite(values[i])) {
            before = -1;
            continue;
        }
        int height = height_of(plot, values[i]);
        set_stroke(plot, x, before < 0 ? height : before, height);
        before = height;
    }
}

void plot_put_row(const struct plot *plot, int row, struct buf *out) {
    for (int i = 0; i < plot->columns; i++) {
        unsigned dots = plot->dots[row][i];
        // U+2800 and the dots, in UTF-8.
        char utf8[3] = {(char)0xE2, (char)(0xA0 | dots >> 6), (char)(0x80 | (dots & 0x3F))};
        buf_put(out, utf8, sizeof utf8);
    }
}
