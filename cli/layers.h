// The part of `pyrometer watch` that shows the layers: bars of one metric now, or the layers as a
// thermal picture over the steps. Which part of them, in which order, is the user's choice.
#ifndef CLI_LAYERS_H
#define CLI_LAYERS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "cli/canvas.h"

enum layers_key {
    LAYERS_DOWN,
    LAYERS_UP,
    LAYERS_PAGE_DOWN,
    LAYERS_PAGE_UP,
    LAYERS_FIRST,
    LAYERS_LAST,
    LAYERS_METRIC,  // the next one
    LAYERS_ORDER,   // as the job named them, or the largest first
    LAYERS_PICTURE, // bars, or a picture over the steps
};

struct layers {
    int metric;
    int top; // the first that is shown
    int shown;
    bool by_size, picture;
    cJSON *history; // the picture's series, NULL before they came; the owner frees it
};

void layers_take_key(struct layers *layers, enum layers_key key);
// Draws into at most `room` rows.
void layers_draw(struct layers *layers, const cJSON *reading, struct canvas *canvas, int room);
// Appends the query for the series of the layers that were drawn last, as many points as there are
// columns for them.
void layers_put_query(const struct layers *layers, const cJSON *reading, int columns,
                      struct buf *path);

#endif
