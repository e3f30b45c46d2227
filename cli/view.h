// The picture that `watch` shows of a run, drawn from the daemon's answers.
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <cjson/cJSON.h>

#include "cli/canvas.h"
#include "cli/layers.h"

// What is known; any may be NULL. The owner frees them.
struct view {
    cJSON *run;
    cJSON *reading;
    cJSON *alerts; // the firing ones
    cJSON *loss;   // the series
    struct layers layers;
    const char *status;
    const char *note; // about the connection, "" when all is well
};

void view_draw(struct view *view, struct canvas *canvas);
// One line for where there is no screen.
void view_print_line(const struct view *view);

#endif
