// Lines of styled text that never grow wider than the screen nor more than its rows; drawn into a
// buffer and written at once, so that a redraw does not flicker.
#ifndef CLI_CANVAS_H
#define CLI_CANVAS_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/ramp.h"
#include "cli/term.h"

enum canvas_style { CANVAS_PLAIN, CANVAS_BOLD, CANVAS_DIM, CANVAS_GOOD, CANVAS_WARN, CANVAS_BAD };

struct canvas {
    struct buf out;
    int columns, rows;
    int column, row; // where the next text goes
    bool colour, true_colour;
    bool screen; // redraws in place; otherwise plain lines one below the other
};

void canvas_init(struct canvas *canvas, const struct cli *cli, struct term_size size, bool screen);
void canvas_free(struct canvas *canvas);
int canvas_columns_left(const struct canvas *canvas);
int canvas_rows_left(const struct canvas *canvas);
void canvas_text(struct canvas *canvas, enum canvas_style style, const char *text);
void canvas_printf(struct canvas *canvas, enum canvas_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void canvas_heat(struct canvas *canvas, double heat, const char *text);
// One place of a thermal picture.
void canvas_thermal(struct canvas *canvas, double heat);
// Spaces up to a column; nothing when it is already past.
void canvas_skip_to(struct canvas *canvas, int column);
void canvas_newline(struct canvas *canvas);
// Writes everything to standard output.
void canvas_show(struct canvas *canvas);

// Appends a bar of `columns` columns filled to `part` (0 to 1) in eighths of a column, and nothing
// behind it. Returns the columns used.
int canvas_bar(struct buf *out, double part, int columns);

#endif
