// Text for people: UTF-8 of unknown origin made safe and measured in columns, and numbers with four
// significant digits.
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>

#include "base/buf.h"

// Short texts, returned by value so that several may stand in one call.
struct word {
    char s[32];
};
struct text {
    char s[96];
};

// Appends at most max_columns columns of text and returns how many it took. Control characters and
// broken UTF-8 come out as a replacement mark, so that no name can steer the terminal.
size_t text_put(struct buf *out, const char *text, size_t max_columns);
// Columns the whole text takes.
size_t text_columns(const char *text);

// "0.0421", "2.1e-07", "NaN"; an en dash for what was not measured.
struct word text_number(double x);
// A whole number, or an en dash.
struct word text_count(double x);
// "0.41 s", "3.2 min", "5.1 h", "2.5 d".
struct word text_duration(double seconds);
// A time of day here, and how long ago: "2025-03-01 12:00:03 (4.2 min ago)".
struct text text_time(double epoch_s);
// "814 B", "3.1 MiB".
struct word text_bytes(double n);

#endif
