// The terminal: what it can do, how large it is, and the loan of its whole screen to `watch`.
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>

struct term_size {
    int columns;
    int rows;
};

// Whether standard output takes colour: a terminal that is not "dumb", without NO_COLOR
// (no-color.org); CLICOLOR_FORCE asks for it anywhere.
bool term_has_colour(void);
bool term_has_true_colour(void);

// Of the terminal on standard output; else $COLUMNS (or 100) columns and no end of rows.
struct term_size term_size(void);

// Takes over the screen: alternate screen, no cursor, keys as they are typed. term_restore() gives
// it back and may be called any number of times.
void term_take(void);
void term_restore(void);

#endif
