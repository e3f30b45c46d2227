#include "cli/term.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/num.h"

enum { COLUMNS_DEFAULT = 100, COLUMNS_MIN = 20, COLUMNS_MAX = 1000 };

static struct termios saved;
static bool keys_taken;
static bool screen_taken;

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && value[0];
}

bool term_has_colour(void) {
    const char *kind = getenv("TERM");
    const char *force = getenv("CLICOLOR_FORCE");
    if (is_set("NO_COLOR")) {
        return false;
    }
    if (force && force[0] && strcmp(force, "0") != 0) {
        return true;
    }
    return isatty(STDOUT_FILENO) && kind && strcmp(kind, "dumb") != 0;
}

bool term_has_true_colour(void) {
    const char *kind = getenv("COLORTERM");
    return kind && (strcmp(kind, "truecolor") == 0 || strcmp(kind, "24bit") == 0);
}

static int columns_from_environment(void) {
    double x;
    const char *text = getenv("COLUMNS");
    if (text && num_parse_string(text, &x) && x >= COLUMNS_MIN && x <= COLUMNS_MAX) {
        return (int)x;
    }
    return COLUMNS_DEFAULT;
}

struct term_size term_size(void) {
    struct winsize w;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 &&
        w.ws_row > 0) {
        int columns = w.ws_col < COLUMNS_MAX ? w.ws_col : COLUMNS_MAX;
        return (struct term_size){.columns = columns, .rows = w.ws_row};
    }
    return (struct term_size){.columns = columns_from_environment(), .rows = INT_MAX};
}

void term_take(void) {
    if (tcgetattr(STDIN_FILENO, &saved) == 0) {
        struct termios raw = saved;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        keys_taken = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    fputs("\033[?1049h\033[?25l\033[2J", stdout);
    fflush(stdout);
    screen_taken = true;
    atexit(term_restore);
}

void term_restore(void) {
    if (screen_taken) {
        fputs("\033[?25h\033[?1049l", stdout);
        fflush(stdout);
        screen_taken = false;
    }
    if (keys_taken) {
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
        keys_taken = false;
    }
}
