#include "cli/layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "cli/http.h"
#include "cli/text.h"
#include "cli/thermometer.h"
#include "cli/tree.h"

enum {
    NAME_COLUMNS_MIN = 8,
    NAME_COLUMNS_MAX = 28,
    VALUE_COLUMNS = 11,
    STABILITY_COLUMNS = 11,
    CELLS_MAX = 1000,
};

struct kind {
    const char *key; // of /series
    const char *name;
    bool thermometer, logarithmic;
};

static const struct kind kinds[] = {
    {"temperature.kinetic", "kinetic temperature", true, true},
    {"temperature.velocity", "velocity temperature", true, true},
    {"update_ratio", "update ratio", false, true},
    {"stability", "stability", false, false},
    {"efficiency", "efficiency", false, false},
    {"coherence", "coherence", false, true},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

// One layer of the reading with the chosen metric's value.
struct item {
    const cJSON *layer;
    struct thermometer_reading figure;
    int place; // among the job's layers
};

// Values between whose ends the colours run: exponents of ten where it is logarithmic.
struct scale {
    bool logarithmic;
    double low, high;
};

void layers_take_key(struct layers *layers, enum layers_key key) {
    int page = layers->shown > 1 ? layers->shown - 1 : 1;
    switch (key) {
    case LAYERS_DOWN:
        layers->top++;
        break;
    case LAYERS_UP:
        layers->top--;
        break;
    case LAYERS_PAGE_DOWN:
        layers->top += page;
        break;
    case LAYERS_PAGE_UP:
        layers->top -= page;
        break;
    case LAYERS_FIRST:
        layers->top = 0;
        break;
    case LAYERS_LAST:
        layers->top = 1 << 30; // the drawing knows how many there are
        break;
    case LAYERS_METRIC:
        layers->metric = (layers->metric + 1) % KIND_COUNT;
        cJSON_Delete(layers->history); // it is of the other metric
        layers->history = NULL;
        break;
    case LAYERS_ORDER:
        layers->by_size = !layers->by_size;
        break;
    case LAYERS_PICTURE:
        layers->picture = !layers->picture;
        break;
    }
    layers->top = layers->top < 0 ? 0 : layers->top;
}

static struct thermometer_reading read_figure(const cJSON *layer, const struct kind *kind) {
    if (kind->thermometer) {
        return thermometer_read(layer, strchr(kind->key, '.') + 1);
    }
    const char *reason = tree_text(tree_member(layer, "reasons"), kind->key, NULL);
    return (struct thermometer_reading){.value = tree_figure(layer, kind->key),
                                        .low = num_missing(),
                                        .high = num_missing(),
                                        .reason = reason};
}

static double sort_value(const struct item *item) {
    double value = item->figure.value;
    return num_is_missing(value) ? -(double)INFINITY : isnan(value) ? (double)INFINITY : value;
}

static int compare_items(const void *a, const void *b) {
    const struct item *x = a;
    const struct item *y = b;
    double vx = sort_value(x), vy = sort_value(y);
    return vx < vy ? 1 : vx > vy ? -1 : x->place - y->place;
}

static struct item *gather(const struct layers *layers, const cJSON *reading, int *count) {
    const cJSON *all = tree_member(reading, "layers");
    const cJSON *layer;
    struct item *items = must_alloc(((size_t)cJSON_GetArraySize(all) + 1) * sizeof *items);
    *count = 0;
    cJSON_ArrayForEach(layer, all) {
        items[*count] = (struct item){
            .layer = layer, .figure = read_figure(layer, &kinds[layers->metric]), .place = *count};
        ++*count;
    }
    if (layers->by_size) {
        qsort(items, (size_t)*count, sizeof *items, compare_items);
    }
    return items;
}

static void widen(struct scale *scale, double value) {
    double at = scale->logarithmic ? value > 0 ? log10(value) : (double)NAN : value;
    if (isfinite(at)) {
        scale->low = fmin(scale->low, at);
        scale->high = fmax(scale->high, at);
    }
}

static void widen_by(struct scale *scale, const cJSON *values) {
    const cJSON *item;
    cJSON_ArrayForEach(item, values) {
        widen(scale, tree_value(item));
    }
}

// Of all layers, and of the history where there is a picture of it.
static struct scale find_scale(const struct layers *layers, const struct item *items, int count) {
    struct scale scale = {
        .logarithmic = kinds[layers->metric].logarithmic, .low = (double)NAN, .high = (double)NAN};
    for (int i = 0; i < count; i++) {
        widen(&scale, items[i].figure.value);
    }
    if (layers->picture) {
        const cJSON *series;
        cJSON_ArrayForEach(series, tree_member(layers->history, "series")) {
            widen_by(&scale, tree_member(series, "value"));
        }
    }
    if (scale.logarithmic && !layers->picture) {
        scale.low = floor(scale.low);
        scale.high = ceil(scale.high);
    } else if (!scale.logarithmic && !layers->picture) {
        scale.low = fmin(scale.low, 0);
    }
    if (isfinite(scale.low) && scale.high <= scale.low) {
        scale.high = scale.low + 1;
    }
    return scale;
}

// 0 cold to 1 hot; NaN for what has no place.
static double heat_of(const struct scale *scale, double value) {
    double at = scale->logarithmic ? value > 0 ? log10(value) : (double)NAN : value;
    return isfinite(at) ? (at - scale->low) / (scale->high - scale->low) : (double)NAN;
}

static int name_columns(const struct item *items, int count, const struct canvas *canvas) {
    size_t columns = NAME_COLUMNS_MIN;
    size_t most = (size_t)canvas->columns / 3 < NAME_COLUMNS_MAX ? (size_t)canvas->columns / 3
                                                                 : NAME_COLUMNS_MAX;
    for (int i = 0; i < count; i++) {
        size_t n = text_columns(tree_text(items[i].layer, "name", "?"));
        columns = n > columns ? n : columns;
    }
    return (int)(columns < most ? columns : most);
}

// Text that ends before a column, and space up to it.
static void draw_until(struct canvas *canvas, int column, enum canvas_style style,
                       const char *text) {
    struct buf clipped;
    buf_init(&clipped, (size_t)1 << 16);
    if (column - 1 > canvas->column) {
        text_put(&clipped, text, (size_t)(column - 1 - canvas->column));
        canvas_text(canvas, style, buf_str(&clipped));
    }
    canvas_skip_to(canvas, column);
    buf_free(&clipped);
}

static int value_column(const struct canvas *canvas) {
    return canvas->columns - VALUE_COLUMNS - STABILITY_COLUMNS + 1;
}

static void draw_bar(struct canvas *canvas, double heat, int columns) {
    struct buf bar;
    buf_init(&bar, (size_t)1 << 16);
    // The coldest keeps a stump: an empty row means nothing at all.
    canvas_bar(&bar, fmax(heat, 0.5 / columns), columns);
    canvas_heat(canvas, heat, buf_str(&bar));
    buf_free(&bar);
}

// One place of the picture. Where there are no colours shades stand for them.
static void draw_cell(struct canvas *canvas, double heat, bool known, bool wild) {
    static const char *const shades[] = {" ", "░", "▒", "▓", "█"};
    if (wild) {
        canvas_text(canvas, CANVAS_BAD, "!");
    } else if (!known || isnan(heat)) {
        canvas_text(canvas, CANVAS_DIM, "·");
    } else if (canvas->colour) {
        canvas_thermal(canvas, heat);
    } else {
        canvas_text(canvas, CANVAS_PLAIN, shades[(int)fmin(4, fmax(0, heat * 5))]);
    }
}

static const cJSON *find_series(const cJSON *history, const char *name) {
    const cJSON *series;
    cJSON_ArrayForEach(series, tree_member(history, "series")) {
        if (strcmp(tree_text(series, "layer", ""), name) == 0) {
            return series;
        }
    }
    return NULL;
}

// The newest of the points that fall into each column.
static void spread(const cJSON *history, const cJSON *series, double *cells, bool *wild,
                   int columns) {
    double from = tree_number(history, "from"), to = tree_number(history, "to");
    const cJSON *step = tree_member(series, "step") ? tree_member(series, "step")->child : NULL;
    const cJSON *value = tree_member(series, "value") ? tree_member(series, "value")->child : NULL;
    int gap = (int)(2.5 * columns / (cJSON_GetArraySize(tree_member(series, "step")) + 1)) + 2;
    int last = -1;
    for (int i = 0; i < columns; i++) {
        cells[i] = num_missing();
        wild[i] = false;
    }
    for (; step && value; step = step->next, value = value->next) {
        double x = tree_value(value);
        double place = (step->valuedouble - from) * columns / (to - from + 1);
        int at = place >= 0 && place < columns ? (int)place : columns - 1;
        for (int i = at - last > gap ? at : last + 1; i <= at; i++) {
            cells[i] = x;
        }
        cells[at] = x;
        wild[at] = wild[at] || !isfinite(x);
        last = at;
    }
}

static void draw_history(const struct layers *layers, struct canvas *canvas,
                         const struct item *item, const struct scale *scale, int columns) {
    double cells[CELLS_MAX];
    bool wild[CELLS_MAX];
    const cJSON *series = find_series(layers->history, tree_text(item->layer, "name", "?"));
    columns = columns < CELLS_MAX ? columns : CELLS_MAX;
    spread(layers->history, series, cells, wild, columns);
    for (int i = 0; i < columns; i++) {
        draw_cell(canvas, heat_of(scale, cells[i]), !num_is_missing(cells[i]), wild[i]);
    }
}

static void draw_layer(const struct layers *layers, struct canvas *canvas, const struct item *item,
                       const struct scale *scale, int names) {
    struct thermometer_reading t = item->figure;
    double stability = tree_figure(item->layer, "stability");
    double heat = heat_of(scale, t.value);
    int columns = value_column(canvas) - 1 - names - 1;
    draw_until(canvas, names + 1, CANVAS_PLAIN, tree_text(item->layer, "name", "?"));
    if (layers->picture && columns > 0) {
        draw_history(layers, canvas, item, scale, columns);
    } else if (t.reason) {
        draw_until(canvas, value_column(canvas), CANVAS_DIM, t.reason);
    } else if (!isnan(heat) && columns > 0) {
        draw_bar(canvas, heat, columns);
    }
    canvas_skip_to(canvas, value_column(canvas));
    canvas_text(canvas, isfinite(t.value) || t.reason ? CANVAS_BOLD : CANVAS_BAD,
                text_number(t.value).s);
    canvas_skip_to(canvas, canvas->columns - STABILITY_COLUMNS + 1);
    canvas_text(canvas, thermometer_stability_style(stability), text_number(stability).s);
    canvas_newline(canvas);
}

static void draw_title(const struct layers *layers, struct canvas *canvas,
                       const struct scale *scale, int names) {
    const struct kind *kind = &kinds[layers->metric];
    char title[128] = "";
    double low = scale->logarithmic ? pow(10, scale->low) : scale->low;
    double high = scale->logarithmic ? pow(10, scale->high) : scale->high;
    snprintf(title, sizeof title, "%s%s%s%s%s%s%s", kind->name,
             layers->picture ? " over steps" : "", isfinite(scale->low) ? ", " : "",
             isfinite(scale->low) ? text_number(low).s : "", isfinite(scale->low) ? " to " : "",
             isfinite(scale->low) ? text_number(high).s : "",
             scale->logarithmic ? ", logarithmic" : "");
    draw_until(canvas, names + 1, CANVAS_DIM, layers->by_size ? "largest" : "layer");
    draw_until(canvas, canvas->columns - STABILITY_COLUMNS + 1, CANVAS_DIM, title);
    canvas_text(canvas, CANVAS_DIM, "stability");
    canvas_newline(canvas);
}

void layers_draw(struct layers *layers, const cJSON *reading, struct canvas *canvas, int room) {
    int count;
    struct item *items = gather(layers, reading, &count);
    struct scale scale = find_scale(layers, items, count);
    int names = name_columns(items, count, canvas);
    bool all = count <= room - 1;
    int shown = all ? count : room - 2;
    shown = shown > 0 ? shown : 0;
    layers->shown = shown;
    layers->top = layers->top > count - shown ? count - shown : layers->top;
    draw_title(layers, canvas, &scale, names);
    for (int i = 0; i < shown; i++) {
        draw_layer(layers, canvas, &items[layers->top + i], &scale, names);
    }
    if (!all && shown) {
        canvas_printf(canvas, CANVAS_DIM, "layers %d to %d of %d", layers->top + 1,
                      layers->top + shown, count);
        canvas_newline(canvas);
    }
    free(items);
}

// A name as a glob that matches nothing else.
static void put_glob(struct buf *path, const char *name) {
    struct buf glob;
    buf_init(&glob, (size_t)1 << 16);
    for (; *name; name++) {
        if (strchr("*?[\\", *name)) {
            buf_putc(&glob, '\\');
        }
        buf_putc(&glob, *name);
    }
    buf_puts(path, "&layer=");
    http_put_escaped(path, buf_str(&glob));
    buf_free(&glob);
}

void layers_put_query(const struct layers *layers, const cJSON *reading, int columns,
                      struct buf *path) {
    int count;
    struct item *items = gather(layers, reading, &count);
    int points = columns < CELLS_MAX ? columns : CELLS_MAX;
    buf_printf(path, "/series?metric=%s&points=%d", kinds[layers->metric].key,
               points > 10 ? points : 10);
    for (int i = layers->top; i < count && i < layers->top + layers->shown; i++) {
        put_glob(path, tree_text(items[i].layer, "name", "?"));
    }
    free(items);
}
