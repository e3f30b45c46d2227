#include "cli/plot.h"

#include <math.h>
#include <string.h>

static const double log_from_ratio = 3;

static void find_range(struct plot *plot, const struct plot_points *points) {
    plot->low = plot->high = (double)NAN;
    for (size_t i = 0; i < points->count; i++) {
        if (isfinite(points->low[i]) && isfinite(points->high[i])) {
            plot->low = fmin(plot->low, points->low[i]);
            plot->high = fmax(plot->high, points->high[i]);
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

static void set_dots(struct plot *plot, int x, int low, int high) {
    static const unsigned char bits[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    for (int height = low; height <= high; height++) {
        int y = 4 * plot->rows - 1 - height;
        plot->dots[y / 4][x / 2] |= bits[y % 4][x % 2];
    }
}

// What of the points falls onto one place; false when nothing finite does.
static bool gather(struct plot *plot, const struct plot_points *points, size_t first, size_t end,
                   int x, int *low, int *high) {
    double least = (double)NAN, most = (double)NAN;
    for (size_t i = first; i < end; i++) {
        plot->wild[x / 2] = plot->wild[x / 2] || points->wild[i];
        if (isfinite(points->low[i]) && isfinite(points->high[i])) {
            least = fmin(least, points->low[i]);
            most = fmax(most, points->high[i]);
        }
    }
    if (isnan(least)) {
        return false;
    }
    *low = height_of(plot, least);
    *high = height_of(plot, most);
    return true;
}

void plot_draw(struct plot *plot, const struct plot_points *points, int columns, int rows) {
    memset(plot, 0, sizeof *plot);
    plot->columns = columns < PLOT_COLUMNS_MAX ? columns : PLOT_COLUMNS_MAX;
    plot->rows = rows < PLOT_ROWS_MAX ? rows : PLOT_ROWS_MAX;
    find_range(plot, points);
    size_t places = plot->columns > 0 ? 2 * (size_t)plot->columns : 0;
    bool joined = false;
    int before_low = 0, before_high = 0;
    for (size_t x = 0; x < places && points->count > 0; x++) {
        size_t first = x * points->count / places, end = (x + 1) * points->count / places;
        int low, high;
        if (!gather(plot, points, first, end > first ? end : first + 1, (int)x, &low, &high)) {
            joined = false;
            continue;
        }
        // Reaches to its neighbour, so that a jump stays one line.
        set_dots(plot, (int)x, joined && before_high < low ? before_high : low,
                 joined && before_low > high ? before_low : high);
        joined = true;
        before_low = low;
        before_high = high;
    }
}

void plot_put_cell(const struct plot *plot, int row, int column, char utf8[4]) {
    unsigned dots = plot->dots[row][column];
    // U+2800 and the dots, in UTF-8.
    utf8[0] = (char)0xE2;
    utf8[1] = (char)(0xA0 | dots >> 6);
    utf8[2] = (char)(0x80 | (dots & 0x3F));
    utf8[3] = '\0';
}
