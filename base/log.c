#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level) {
    max_level = level;
}

// One write a line, so that lines of several threads do not mix.
__attribute__((format(printf, 2, 0))) static void write_line(enum log_level level,
                                                             const char *format, va_list args) {
    if (level > max_level) {
        return;
    }
    char line[2048];
    int n = isatty(STDERR_FILENO) ? 0 : snprintf(line, sizeof line, "<%d>", (int)level);
    int text = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    if (text < 0) {
        return;
    }
    size_t len = (size_t)n + (size_t)text;
    if (len > sizeof line - 2) {
        len = sizeof line - 2;
    }
    for (size_t i = (size_t)n; i < len; i++) {
        line[i] =
            (unsigned char)line[i] < 0x20 || line[i] == 0x7F ? ' ' : line[i]; // jobs' bytes too
    }
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...) {                                                           \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        write_line(level, format, args);                                                           \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
