// A line plot in Braille characters: two points a column, four levels a row.
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { PLOT_ROWS_MAX = 8, PLOT_COLUMNS_MAX = 1000 };

struct plot {
    int columns, rows;
    double low, high; // of the finite values; NaN when there are none
    bool logarithmic; // chosen when all are positive and span more than a factor of three
    unsigned char dots[PLOT_ROWS_MAX][PLOT_COLUMNS_MAX];
};

// The values spread evenly over the width; non-finite ones leave a gap.
void plot_draw(struct plot *plot, const double *values, size_t count, int columns, int rows);
// Appends one row of it, top row 0.
void plot_put_row(const struct plot *plot, int row, struct buf *out);

#endif
