#include "cli/canvas.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/text.h"

void canvas_init(struct canvas *canvas, const struct cli *cli, struct term_size size, bool screen) {
    *canvas = (struct canvas){
        .columns = size.columns,
        .rows = size.rows,
        .colour = cli->colour,
        .true_colour = cli->true_colour,
        .screen = screen,
    };
    buf_init(&canvas->out, (size_t)64 << 20);
    // Terminals that know mode 2026 show the frame only when it is whole; others ignore it.
    buf_puts(&canvas->out, screen ? "\033[?2026h\033[H" : "");
}

void canvas_free(struct canvas *canvas) {
    buf_free(&canvas->out);
}

int canvas_columns_left(const struct canvas *canvas) {
    return canvas->columns - canvas->column;
}

int canvas_rows_left(const struct canvas *canvas) {
    return canvas->rows - canvas->row;
}

static void put_clipped(struct canvas *canvas, const char *before, const char *text) {
    if (canvas_rows_left(canvas) <= 0 || canvas_columns_left(canvas) <= 0) {
        return;
    }
    size_t left = (size_t)canvas_columns_left(canvas);
    bool whole = text_columns(text) <= left;
    buf_puts(&canvas->out, before);
    canvas->column += (int)text_put(&canvas->out, text, whole ? left : left - 1);
    // Half a number would be another one.
    canvas->column += whole ? 0 : (int)text_put(&canvas->out, "…", 1);
    buf_puts(&canvas->out, before[0] ? "\033[0m" : "");
}

void canvas_text(struct canvas *canvas, enum canvas_style style, const char *text) {
    static const char *const codes[] = {"",         "\033[1m",  "\033[2m",
                                        "\033[32m", "\033[33m", "\033[1;31m"};
    put_clipped(canvas, canvas->colour ? codes[style] : "", text);
}

void canvas_printf(struct canvas *canvas, enum canvas_style style, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    canvas_text(canvas, style, text);
}

static void put_coloured(struct canvas *canvas, struct colour c, const char *text) {
    char code[32] = "";
    if (canvas->colour && canvas->true_colour) {
        snprintf(code, sizeof code, "\033[38;2;%d;%d;%dm", c.red, c.green, c.blue);
    } else if (canvas->colour) {
        snprintf(code, sizeof code, "\033[38;5;%dm", ramp_terminal_index(c));
    }
    put_clipped(canvas, code, text);
}

void canvas_heat(struct canvas *canvas, double heat, const char *text) {
    put_coloured(canvas, ramp_colour(heat), text);
}

void canvas_thermal(struct canvas *canvas, double heat) {
    put_coloured(canvas, ramp_thermal(heat), "█");
}

void canvas_skip_to(struct canvas *canvas, int column) {
    while (canvas->column < column && canvas_columns_left(canvas) > 0 &&
           canvas_rows_left(canvas) > 0) {
        buf_putc(&canvas->out, ' ');
        canvas->column++;
    }
}

// The screen's last row takes no newline, or the screen would scroll. Behind the last column a
// cursor stands on it still: erasing the rest of the line would erase its character.
void canvas_newline(struct canvas *canvas) {
    if (canvas_rows_left(canvas) <= 0) {
        return;
    }
    buf_puts(&canvas->out, canvas->screen && canvas_columns_left(canvas) > 0 ? "\033[K" : "");
    canvas->row++;
    canvas->column = 0;
    if (!canvas->screen) {
        buf_putc(&canvas->out, '\n');
    } else if (canvas_rows_left(canvas) > 0) {
        buf_puts(&canvas->out, "\r\n");
    }
}

void canvas_show(struct canvas *canvas) {
    if (canvas->screen) {
        buf_puts(&canvas->out, canvas_rows_left(canvas) > 0 ? "\033[J\033[?2026l" : "\033[?2026l");
    }
    fwrite(buf_str(&canvas->out), 1, canvas->out.len, stdout);
    fflush(stdout);
}

int canvas_bar(struct buf *out, double part, int columns) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = (int)lround(fmin(1, fmax(0, part)) * 8 * columns);
    for (int i = 0; i < filled / 8; i++) {
        buf_puts(out, "█");
    }
    buf_puts(out, eighths[filled % 8]);
    return filled / 8 + (filled % 8 > 0);
}
