// A line plot in Braille characters: two points a column, four levels a row.
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include <stdbool.h>
#include <stddef.h>

enum { PLOT_ROWS_MAX = 8, PLOT_COLUMNS_MAX = 1000 };

// Each point stands for several values: their least and greatest, and whether one was NaN or
// infinite. `count` of them.
struct plot_points {
    double *low, *high;
    bool *wild;
    size_t count;
};

struct plot {
    int columns, rows;
    double low, high; // of the finite values; NaN when there are none
    bool logarithmic; // chosen when all are positive and span more than a factor of three
    bool wild[PLOT_COLUMNS_MAX];
    unsigned char dots[PLOT_ROWS_MAX][PLOT_COLUMNS_MAX];
};

// The points spread evenly over the width; what is not finite leaves a gap.
void plot_draw(struct plot *plot, const struct plot_points *points, int columns, int rows);
// The character of one place, top row 0.
void plot_put_cell(const struct plot *plot, int row, int column, char utf8[4]);

#endif
