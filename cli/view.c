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
    LABEL_COLUMNS = 16,
    TIGHT_ROWS = 20,    // below, the layers are worth more than the run's own figures
    ROOMY_ROWS = 30,    // from here on the loss gets four rows and alerts five
    ROOMY_COLUMNS = 96, // from here on there is room for the intervals
    PAIR_COLUMNS = 64,  // from here on two thermometers stand side by side
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

void view_draw(struct view *view, struct canvas *canvas) {
    int foot = alert_rows(view, canvas) + (canvas->screen ? 1 : 0);
    draw_head(view, canvas);
    draw_loss(view, canvas);
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
    draw_alerts(view, canvas);
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
