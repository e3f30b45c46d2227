#include "cli/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/num.h"
#include "cli/plot.h"
#include "cli/text.h"
#include "cli/thermometer.h"
#include "cli/tree.h"

enum {
    ALERTS_SHOWN = 5,
    ALERTS_SHOWN_TIGHT = 2,
    ALERTS_MOST = 12, // where there are rows to spare
    LABEL_COLUMNS = 16,
    TIGHT_ROWS = 20,   // below, the layers are worth more than the run's own figures
    ROOMY_ROWS = 30,   // from here on the loss gets four rows and alerts five
    PAIR_COLUMNS = 64, // from here on two thermometers stand side by side
};

static enum canvas_style status_style(const char *status) {
    if (strcmp(status, "running") == 0 || strcmp(status, "completed") == 0) {
        return CANVAS_GOOD;
    }
    return strcmp(status, "failed") == 0 ? CANVAS_BAD : CANVAS_WARN;
}

static double newest_step(const struct view *view) {
    double step = tree_number(view->reading, "step");
    return num_is_missing(step) ? tree_number(view->run, "last_step") : step;
}

static double newest_loss(const struct view *view) {
    double loss = tree_number(view->reading, "energy");
    return num_is_missing(loss) ? tree_loss(view->run) : loss;
}

static void draw_head(const struct view *view, struct canvas *canvas) {
    const char *quadrant = tree_text(view->reading, "quadrant", NULL);
    canvas_text(canvas, CANVAS_BOLD, tree_text(view->run, "run", "?"));
    canvas_text(canvas, CANVAS_PLAIN, "  ");
    canvas_text(canvas, status_style(view->status), view->status);
    canvas_printf(canvas, CANVAS_PLAIN, "  step %s  loss %s", text_count(newest_step(view)).s,
                  text_number(newest_loss(view)).s);
    if (quadrant) {
        canvas_printf(canvas, CANVAS_PLAIN, "  %s", quadrant);
    }
    if (tree_member(view->reading, "state")) {
        canvas_printf(canvas, CANVAS_PLAIN, "  state %s", tree_text(view->reading, "state", "?"));
    }
    canvas_newline(canvas);
}

// The loss as points of least and greatest values; the caller frees it by free_points().
static struct plot_points copy_points(const cJSON *series) {
    const cJSON *value = tree_member(series, "value"), *low = tree_member(series, "min");
    const cJSON *high = tree_member(series, "max"), *nonfinite = tree_member(series, "nonfinite");
    size_t n = (size_t)cJSON_GetArraySize(value);
    struct plot_points points = {.low = must_alloc((n + 1) * sizeof *points.low),
                                 .high = must_alloc((n + 1) * sizeof *points.high),
                                 .wild = must_alloc((n + 1) * sizeof *points.wild),
                                 .count = n};
    // Side by side: reaching for each by its place would walk the lists again and again.
    const cJSON *lows = (low ? low : value)->child, *highs = (high ? high : value)->child;
    const cJSON *counts = nonfinite ? nonfinite->child : NULL, *item;
    size_t i = 0;
    cJSON_ArrayForEach(item, value) {
        points.low[i] = tree_value(lows);
        points.high[i] = tree_value(highs);
        points.wild[i++] = !isfinite(tree_value(item)) || tree_value(counts) > 0;
        lows = lows ? lows->next : NULL;
        highs = highs ? highs->next : NULL;
        counts = counts ? counts->next : NULL;
    }
    return points;
}

static void free_points(struct plot_points *points) {
    free(points->low);
    free(points->high);
    free(points->wild);
}

static void draw_loss_label(struct canvas *canvas, const struct plot *plot, int row) {
    bool top = row == 0;
    if (!top && row != plot->rows - 1) {
        return;
    }
    canvas_text(canvas, CANVAS_DIM, top ? "loss" : plot->logarithmic ? "log" : "");
    canvas_skip_to(canvas, 5);
    if (isfinite(plot->low)) {
        canvas_text(canvas, CANVAS_DIM, text_number(top ? plot->high : plot->low).s);
    }
}

static void draw_loss_row(struct canvas *canvas, const struct plot *plot, int row) {
    char cell[4];
    for (int column = 0; column < plot->columns; column++) {
        if (row == 0 && plot->wild[column]) {
            canvas_text(canvas, CANVAS_BAD, "!");
        } else {
            plot_put_cell(plot, row, column, cell);
            canvas_text(canvas, CANVAS_PLAIN, cell);
        }
    }
}

static void draw_loss(const struct view *view, struct canvas *canvas, int rows) {
    const cJSON *series = cJSON_GetArrayItem(tree_member(view->loss, "series"), 0);
    struct plot_points points = {0};
    if (tree_member(series, "value")) {
        points = copy_points(series);
    }
    struct plot *plot = NEW(struct plot);
    plot_draw(plot, &points, canvas->columns - LABEL_COLUMNS, rows);
    for (int row = 0; row < plot->rows; row++) {
        draw_loss_label(canvas, plot, row);
        canvas_skip_to(canvas, LABEL_COLUMNS);
        draw_loss_row(canvas, plot, row);
        canvas_newline(canvas);
    }
    free(plot);
    free_points(&points);
}

// In `width` columns: the value, and its unit and its interval as far as there is room.
static void draw_thermometer(struct canvas *canvas, const cJSON *global,
                             const struct thermometer *what, int width) {
    struct thermometer_reading t = thermometer_read(global, what->name);
    bool has_interval = !num_is_missing(t.low) || !num_is_missing(t.high);
    struct text interval = thermometer_interval(t);
    struct word value = text_number(t.value);
    int end = canvas->column + width;
    canvas_text(canvas, CANVAS_DIM, what->name);
    canvas_skip_to(canvas, end - width + LABEL_COLUMNS);
    canvas_text(canvas, CANVAS_BOLD, value.s);
    if (t.reason) {
        canvas_printf(canvas, CANVAS_DIM, "  %s", t.reason);
        return;
    }
    int interval_columns = has_interval ? 2 + (int)strlen(interval.s) : 0;
    int unit_columns = 1 + (int)strlen(what->unit);
    bool interval_fits = has_interval && canvas->column + interval_columns < end;
    if (canvas->column + unit_columns + (interval_fits ? interval_columns : 0) < end) {
        canvas_printf(canvas, CANVAS_DIM, " %s", what->unit);
    }
    if (interval_fits) {
        canvas_printf(canvas, CANVAS_PLAIN, "  %s", interval.s);
    }
}

static int thermometers_per_row(const struct canvas *canvas) {
    return canvas->columns >= PAIR_COLUMNS ? 2 : 1;
}

// All of them where they cost three rows or there is room, else the two that tell most.
static bool shows_thermometer(const struct canvas *canvas, int i) {
    if (thermometers_per_row(canvas) == 2 || canvas->rows >= ROOMY_ROWS) {
        return true;
    }
    return strcmp(thermometers[i].name, "kinetic") == 0 ||
           strcmp(thermometers[i].name, "configurational") == 0;
}

static void draw_thermometers(const struct view *view, struct canvas *canvas) {
    const cJSON *global = tree_member(view->reading, "global");
    int per_row = thermometers_per_row(canvas), width = canvas->columns / per_row, drawn = 0;
    for (int i = 0; i < THERMOMETER_COUNT; i++) {
        if (!shows_thermometer(canvas, i)) {
            continue;
        }
        canvas_skip_to(canvas, drawn % per_row * width);
        draw_thermometer(canvas, global, &thermometers[i], width);
        if (++drawn % per_row == 0) {
            canvas_newline(canvas);
        }
    }
}

static void draw_stability(const struct view *view, struct canvas *canvas) {
    double stability = tree_figure(view->reading, "stability");
    int width = canvas->columns / 3;
    struct buf full;
    struct buf empty;
    buf_init(&full, (size_t)1 << 16);
    buf_init(&empty, (size_t)1 << 16);
    for (int i = canvas_bar(&full, isfinite(stability) ? stability : 0, width); i < width; i++) {
        buf_puts(&empty, "·");
    }
    canvas_text(canvas, CANVAS_DIM, "stability");
    canvas_skip_to(canvas, LABEL_COLUMNS);
    canvas_text(canvas, thermometer_stability_style(stability), buf_str(&full));
    canvas_text(canvas, CANVAS_DIM, buf_str(&empty));
    canvas_printf(canvas, CANVAS_PLAIN, " %s of the edge of stability", text_number(stability).s);
    canvas_newline(canvas);
    buf_free(&full);
    buf_free(&empty);
}

static void draw_figures(const struct view *view, struct canvas *canvas) {
    static const char *const figures[] = {"coherence", "drift", "equilibrium", "noise_scale",
                                          "entropy"};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        struct word value = text_number(tree_figure(view->reading, figures[i]));
        if (canvas_columns_left(canvas) > (int)(strlen(figures[i]) + text_columns(value.s))) {
            canvas_printf(canvas, CANVAS_DIM, "%s ", figures[i]);
            canvas_printf(canvas, CANVAS_PLAIN, "%s  ", value.s);
        }
    }
    canvas_newline(canvas);
}

static const char *const severities[] = {"critical", "warning", "info"};
enum { SEVERITY_COUNT = sizeof severities / sizeof severities[0] };

static void draw_alert(struct canvas *canvas, const cJSON *alert, int severity) {
    static const enum canvas_style styles[] = {CANVAS_BAD, CANVAS_WARN, CANVAS_PLAIN};
    const char *layer = tree_text(alert, "layer", NULL);
    const char *summary = tree_text(alert, "summary", "");
    canvas_printf(canvas, styles[severity], "%-8s ", severities[severity]);
    canvas_text(canvas, CANVAS_BOLD, tree_text(alert, "rule", "?"));
    canvas_printf(canvas, CANVAS_DIM, " since step %s%s", text_count(tree_number(alert, "since")).s,
                  tree_member(alert, "acknowledged") ? ", acknowledged" : "");
    if (layer && !strstr(summary, layer)) {
        canvas_printf(canvas, CANVAS_PLAIN, ", layer %s", layer);
    }
    canvas_text(canvas, CANVAS_PLAIN, ": ");
    canvas_text(canvas, CANVAS_PLAIN, summary);
    canvas_newline(canvas);
}

static int count_of(const cJSON *alerts, const char *severity) {
    const cJSON *alert;
    int n = 0;
    cJSON_ArrayForEach(alert, alerts) {
        n += strcmp(tree_text(alert, "severity", ""), severity) == 0;
    }
    return n;
}

// The gravest first, among equals the newest.
static void draw_alerts(const struct view *view, struct canvas *canvas, int shown) {
    const cJSON *alerts = tree_member(view->alerts, "alerts");
    int count = cJSON_GetArraySize(alerts), critical = count_of(alerts, "critical");
    canvas_printf(canvas, count ? CANVAS_BAD : CANVAS_DIM, "alerts: %d firing", count);
    if (critical) {
        canvas_printf(canvas, CANVAS_BAD, ", %d critical", critical);
    }
    if (count > shown) {
        canvas_printf(canvas, CANVAS_DIM, ", the gravest %d:", shown);
    }
    canvas_newline(canvas);
    for (int severity = 0, i = 0; severity < SEVERITY_COUNT; severity++) {
        const cJSON *alert;
        cJSON_ArrayForEach(alert, alerts) {
            if (strcmp(tree_text(alert, "severity", ""), severities[severity]) == 0 &&
                i++ < shown) {
                draw_alert(canvas, alert, severity);
            }
        }
    }
}

// How many rows the parts get that can do with more or less.
struct shares {
    int loss, alerts;
};

static int least(int a, int b) {
    return a < b ? a : b;
}

static struct shares share_rows(const struct view *view, const struct canvas *canvas) {
    bool roomy = canvas->rows >= ROOMY_ROWS, tight = canvas->rows < TIGHT_ROWS;
    int firing = cJSON_GetArraySize(tree_member(view->alerts, "alerts"));
    int layers = cJSON_GetArraySize(tree_member(view->reading, "layers"));
    int shown = 0;
    for (int i = 0; i < THERMOMETER_COUNT; i++) {
        shown += shows_thermometer(canvas, i);
    }
    struct shares s = {.loss = roomy ? 4 : 2, .alerts = roomy ? ALERTS_SHOWN : ALERTS_SHOWN_TIGHT};
    s.alerts = least(firing, s.alerts);
    // Head, stability, figures, the titles of layers and alerts, the foot.
    int spare = canvas->rows - 6 - s.loss - s.alerts - layers -
                (tight ? 0 : shown / thermometers_per_row(canvas));
    spare = spare > 0 ? spare : 0;
    int more = least(spare, least(firing, ALERTS_MOST) - s.alerts);
    s.alerts += more;
    if (canvas->screen) {
        s.loss = least(s.loss + spare - more, PLOT_ROWS_MAX);
    }
    return s;
}

void view_draw(struct view *view, struct canvas *canvas) {
    struct shares shares = share_rows(view, canvas);
    int foot = 1 + shares.alerts + (canvas->screen ? 1 : 0);
    draw_head(view, canvas);
    draw_loss(view, canvas, shares.loss);
    if (view->reading) {
        if (canvas->rows >= TIGHT_ROWS) {
            draw_thermometers(view, canvas);
        }
        draw_stability(view, canvas);
        if (canvas->rows >= TIGHT_ROWS) {
            draw_figures(view, canvas);
        }
        layers_draw(&view->layers, view->reading, canvas, canvas_rows_left(canvas) - foot);
    } else {
        canvas_text(canvas, CANVAS_DIM, "no temperatures yet");
        canvas_newline(canvas);
    }
    draw_alerts(view, canvas, shares.alerts);
    if (view->note[0]) {
        canvas_text(canvas, CANVAS_WARN, view->note);
    } else if (canvas->screen) {
        canvas_text(canvas, CANVAS_DIM,
                    "q quits  arrows scroll  m metric  s largest first  p picture over steps");
    }
    if (view->note[0] || canvas->screen) {
        canvas_newline(canvas);
    }
}

void view_print_line(const struct view *view) {
    const cJSON *global = tree_member(view->reading, "global");
    printf("step %s  loss %s", text_count(newest_step(view)).s, text_number(newest_loss(view)).s);
    for (int i = 0; i < THERMOMETER_COUNT; i++) {
        double value = thermometer_read(global, thermometers[i].name).value;
        if (!num_is_missing(value)) {
            printf("  %s %s", thermometers[i].name, text_number(value).s);
        }
    }
    printf("  stability %s  coherence %s\n", text_number(tree_figure(view->reading, "stability")).s,
           text_number(tree_figure(view->reading, "coherence")).s);
}
