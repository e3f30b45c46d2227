#include "cli/progress.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { INTERVAL_MS = 200 };

// A program has one line to write over, so there is one of these.
static struct {
    uint64_t looked_ns; // 0: not yet
    bool shown;
} line;

bool progress_due(void) {
    uint64_t now_ns = clock_monotonic_ns();
    if (line.looked_ns && now_ns - line.looked_ns < INTERVAL_MS * UINT64_C(1000000)) {
        return false;
    }
    line.looked_ns = now_ns;
    return isatty(STDERR_FILENO);
}

void progress_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputc('\r', stderr);
    vfprintf(stderr, format, args);
    fputs("\033[K", stderr);
    va_end(args);
    line.shown = true;
}

void progress_stage(const char *what) {
    if (isatty(STDERR_FILENO)) {
        progress_say("%s", what);
    }
}

void progress_clear(void) {
    if (line.shown) {
        fputs("\r\033[K", stderr);
        line.shown = false;
        line.looked_ns = 0;
    }
}
