#include "cli/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "cli/plot.h"
#include "cli/text.h"
#include "cli/thermometer.h"
#include "cli/tree.h"

enum {
    ALERTS_SHOWN = 5,
    ALERTS_SHOWN_TIGHT = 2,
    NAME_COLUMNS_MIN = 8,
    NAME_COLUMNS_MAX = 28,
    VALUE_COLUMNS = 11,
    STABILITY_COLUMNS = 11,
    LABEL_COLUMNS = 16,
    ROOMY_ROWS = 30,    // from here on the loss gets four rows and alerts five
    ROOMY_COLUMNS = 96, // from here on there is room for the intervals
    PAIR_COLUMNS = 64,  // from here on two thermometers stand side by side
};

// The levels of the stability fraction at which the daemon's rules warn and alarm.
static const double stability_warning = 0.15;
static const double stability_critical = 0.3;

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

static double *copy_values(const cJSON *values, size_t *count) {
    *count = (size_t)cJSON_GetArraySize(values);
    double *copy = malloc((*count + 1) * sizeof *copy);
    CHECK(copy != NULL);
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, values) {
        copy[i++] = tree_value(item);
    }
    return copy;
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

static void draw_loss(const struct view *view, struct canvas *canvas) {
    const cJSON *series = cJSON_GetArrayItem(tree_member(view->loss, "series"), 0);
    size_t count;
    double *values = copy_values(tree_member(series, "value"), &count);
    struct plot *plot = NEW(struct plot);
    plot_draw(plot, values, count, canvas->columns - LABEL_COLUMNS,
              canvas->rows >= ROOMY_ROWS ? 4 : 2);
    for (int row = 0; row < plot->rows; row++) {
        struct buf line;
        buf_init(&line, (size_t)1 << 16);
        plot_put_row(plot, row, &line);
        draw_loss_label(canvas, plot, row);
        canvas_skip_to(canvas, LABEL_COLUMNS);
        canvas_text(canvas, CANVAS_PLAIN, buf_str(&line));
        canvas_newline(canvas);
        buf_free(&line);
    }
    free(plot);
    free(values);
}

static void draw_thermometer(struct canvas *canvas, const cJSON *global, const char *name) {
    struct thermometer_reading t = thermometer_read(global, name);
    bool has_interval = !num_is_missing(t.low) || !num_is_missing(t.high);
    int column = canvas->column;
    canvas_text(canvas, CANVAS_DIM, name);
    canvas_skip_to(canvas, column + LABEL_COLUMNS);
    canvas_text(canvas, CANVAS_BOLD, text_number(t.value).s);
    if (t.reason) {
        canvas_printf(canvas, CANVAS_DIM, "  %s", t.reason);
    } else if (has_interval && canvas->columns >= ROOMY_COLUMNS) {
        canvas_printf(canvas, CANVAS_PLAIN, "  %s", thermometer_interval(t).s);
    }
}

static void draw_thermometers(const struct view *view, struct canvas *canvas) {
    const cJSON *global = tree_member(view->reading, "global");
    int per_row = canvas->columns >= PAIR_COLUMNS ? 2 : 1;
    for (int i = 0; i < THERMOMETER_COUNT; i++) {
        if (i % per_row) {
            canvas_skip_to(canvas, canvas->columns / 2);
        }
        draw_thermometer(canvas, global, thermometers[i].name);
        if (i % per_row == per_row - 1) {
            canvas_newline(canvas);
        }
    }
}

static enum canvas_style stability_style(double stability) {
    if (isnan(stability)) {
        return CANVAS_DIM;
    }
    if (stability < stability_warning) {
        return CANVAS_GOOD;
    }
    return stability < stability_critical ? CANVAS_WARN : CANVAS_BAD;
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
    canvas_text(canvas, stability_style(stability), buf_str(&full));
    canvas_text(canvas, CANVAS_DIM, buf_str(&empty));
    canvas_printf(canvas, CANVAS_PLAIN, " %s of the way to instability", text_number(stability).s);
    canvas_newline(canvas);
    buf_free(&full);
    buf_free(&empty);
}

static void draw_figures(const struct view *view, struct canvas *canvas) {
    static const char *const figures[] = {"coherence", "drift", "equilibrium", "noise_scale",
                                          "entropy"};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        canvas_printf(canvas, CANVAS_DIM, "%s ", figures[i]);
        canvas_printf(canvas, CANVAS_PLAIN, "%s  ",
                      text_number(tree_figure(view->reading, figures[i])).s);
    }
    canvas_newline(canvas);
}

// The decades that hold every layer's kinetic temperature, as powers of ten.
struct scale {
    double low, high; // exponents
};

static struct scale find_scale(const cJSON *layers) {
    double low = (double)NAN;
    double high = (double)NAN;
    const cJSON *layer;
    cJSON_ArrayForEach(layer, layers) {
        double value = thermometer_read(layer, "kinetic").value;
        if (isfinite(value) && value > 0) {
            low = fmin(low, log10(value));
            high = fmax(high, log10(value));
        }
    }
    low = floor(low);
    high = ceil(high);
    return (struct scale){.low = low, .high = high > low ? high : low + 1};
}

static int name_columns(const cJSON *layers) {
    size_t columns = NAME_COLUMNS_MIN;
    const cJSON *layer;
    cJSON_ArrayForEach(layer, layers) {
        size_t n = text_columns(tree_text(layer, "name", "?"));
        columns = n > columns ? n : columns;
    }
    return columns < NAME_COLUMNS_MAX ? (int)columns : NAME_COLUMNS_MAX;
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

static void draw_layer(struct canvas *canvas, const cJSON *layer, struct scale scale, int names) {
    struct thermometer_reading t = thermometer_read(layer, "kinetic");
    double stability = tree_figure(layer, "stability");
    int bar_columns = canvas->columns - names - 1 - VALUE_COLUMNS - STABILITY_COLUMNS;
    int value_column = canvas->columns - VALUE_COLUMNS - STABILITY_COLUMNS + 1;
    draw_until(canvas, names + 1, CANVAS_PLAIN, tree_text(layer, "name", "?"));
    if (t.reason) {
        draw_until(canvas, value_column, CANVAS_DIM, t.reason);
    } else if (isfinite(t.value) && t.value > 0 && bar_columns > 0) {
        // The coldest keeps a stump: an empty row means zero.
        double heat = (log10(t.value) - scale.low) / (scale.high - scale.low);
        struct buf bar;
        buf_init(&bar, (size_t)1 << 16);
        canvas_bar(&bar, fmax(heat, 0.5 / bar_columns), bar_columns);
        canvas_heat(canvas, heat, buf_str(&bar));
        buf_free(&bar);
    }
    canvas_skip_to(canvas, value_column);
    canvas_text(canvas, isfinite(t.value) || t.reason ? CANVAS_BOLD : CANVAS_BAD,
                text_number(t.value).s);
    canvas_skip_to(canvas, canvas->columns - STABILITY_COLUMNS + 1);
    canvas_text(canvas, stability_style(stability), text_number(stability).s);
    canvas_newline(canvas);
}

static void draw_layers(const struct view *view, struct canvas *canvas, int room) {
    const cJSON *layers = tree_member(view->reading, "layers");
    struct scale scale = find_scale(layers);
    int names = name_columns(layers);
    int count = cJSON_GetArraySize(layers);
    int shown = count <= room - 1 ? count : room - 2;
    char title[96] = "kinetic temperature";
    if (isfinite(scale.low)) {
        snprintf(title, sizeof title, "kinetic temperature, 1e%.0f to 1e%.0f, logarithmic",
                 scale.low, scale.high);
    }
    draw_until(canvas, names + 1, CANVAS_DIM, "layer");
    draw_until(canvas, canvas->columns - STABILITY_COLUMNS + 1, CANVAS_DIM, title);
    canvas_text(canvas, CANVAS_DIM, "stability");
    canvas_newline(canvas);
    const cJSON *layer;
    int i = 0;
    cJSON_ArrayForEach(layer, layers) {
        if (i++ >= shown) {
            break;
        }
        draw_layer(canvas, layer, scale, names);
    }
    if (shown < count) {
        canvas_printf(canvas, CANVAS_DIM, "... and %d more layers",
                      count - (shown > 0 ? shown : 0));
        canvas_newline(canvas);
    }
}

static void draw_alert(struct canvas *canvas, const cJSON *alert) {
    const char *severity = tree_text(alert, "severity", "?");
    enum canvas_style style = strcmp(severity, "critical") == 0  ? CANVAS_BAD
                              : strcmp(severity, "warning") == 0 ? CANVAS_WARN
                                                                 : CANVAS_PLAIN;
    canvas_printf(canvas, style, "%-8s ", severity);
    canvas_printf(canvas, CANVAS_BOLD, "%s", tree_text(alert, "rule", "?"));
    canvas_printf(canvas, CANVAS_PLAIN,
                  ", %s, since step %s%s: ", tree_text(alert, "layer", "whole run"),
                  text_count(tree_number(alert, "since")).s,
                  tree_member(alert, "acknowledged") ? ", acknowledged" : "");
    canvas_text(canvas, CANVAS_PLAIN, tree_text(alert, "summary", ""));
    canvas_newline(canvas);
}

static int alerts_shown(const struct canvas *canvas) {
    return canvas->rows >= ROOMY_ROWS ? ALERTS_SHOWN : ALERTS_SHOWN_TIGHT;
}

static void draw_alerts(const struct view *view, struct canvas *canvas) {
    const cJSON *alerts = tree_member(view->alerts, "alerts");
    int count = cJSON_GetArraySize(alerts);
    int shown = alerts_shown(canvas);
    canvas_printf(canvas, count ? CANVAS_BAD : CANVAS_DIM, "alerts: %d firing", count);
    if (count > shown) {
        canvas_printf(canvas, CANVAS_DIM, ", the newest %d:", shown);
    }
    canvas_newline(canvas);
    const cJSON *alert;
    int i = 0;
    cJSON_ArrayForEach(alert, alerts) {
        if (i++ >= shown) {
            break;
        }
        draw_alert(canvas, alert);
    }
}

static int alert_rows(const struct view *view, const struct canvas *canvas) {
    int count = cJSON_GetArraySize(tree_member(view->alerts, "alerts"));
    int shown = alerts_shown(canvas);
    return 1 + (count < shown ? count : shown);
}

void view_draw(const struct view *view, struct canvas *canvas) {
    int foot = alert_rows(view, canvas) + (canvas->screen ? 1 : 0);
    draw_head(view, canvas);
    draw_loss(view, canvas);
    if (view->reading) {
        draw_thermometers(view, canvas);
        draw_stability(view, canvas);
        draw_figures(view, canvas);
        draw_layers(view, canvas, canvas_rows_left(canvas) - foot);
    } else {
        canvas_text(canvas, CANVAS_DIM, "no temperatures yet");
        canvas_newline(canvas);
    }
    draw_alerts(view, canvas);
    if (view->note[0]) {
        canvas_text(canvas, CANVAS_WARN, view->note);
    } else if (canvas->screen) {
        canvas_text(canvas, CANVAS_DIM, "q quits");
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
