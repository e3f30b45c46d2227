#define _GNU_SOURCE // wcwidth()
#include "cli/text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/ascii.h"

static const char replacement[] = "\xEF\xBF\xBD";
static const char en_dash[] = "\xE2\x80\x93";

// Text is UTF-8 whatever the user's locale says; that decides what is written. Only the characters:
// numbers keep their point.
static bool ascii;
static void use_utf8(void) {
    static bool done;
    if (!done) {
        ascii = ascii_is_wanted();
        setlocale(LC_CTYPE, "C.UTF-8");
        done = true;
    }
}

// The character at text: its length in bytes (0 at the end) and its columns, -1 when it cannot be
// shown.
static size_t next_character(const char *text, wchar_t *c, int *columns) {
    mbstate_t state = {0};
    size_t n = mbrtowc(c, text, strnlen(text, 4), &state);
    if (n == (size_t)-1 || n == (size_t)-2) {
        *columns = -1;
        return *text ? 1 : 0;
    }
    *columns = wcwidth(*c);
    return n;
}

size_t text_put(struct buf *out, const char *text, size_t max_columns) {
    use_utf8();
    size_t used = 0;
    int columns;
    wchar_t c;
    for (size_t n; (n = next_character(text, &c, &columns)) > 0; text += n) {
        size_t width = columns < 0 ? 1 : (size_t)columns;
        if (used + width > max_columns) {
            break;
        }
        if (columns < 0) {
            buf_puts(out, ascii ? "?" : replacement);
        } else if (ascii && c >= 0x80) {
            for (size_t i = 0; i < width; i++) {
                buf_putc(out, ascii_for(c));
            }
        } else {
            buf_put(out, text, n);
        }
        used += width;
    }
    return used;
}

size_t text_columns(const char *text) {
    use_utf8();
    size_t used = 0;
    int columns;
    wchar_t c;
    for (size_t n; (n = next_character(text, &c, &columns)) > 0; text += n) {
        used += columns < 0 ? 1 : (size_t)columns;
    }
    return used;
}

struct word text_number(double x) {
    struct word t;
    if (num_is_missing(x)) {
        use_utf8();
        snprintf(t.s, sizeof t.s, "%s", ascii ? "-" : en_dash);
    } else if (isnan(x)) {
        snprintf(t.s, sizeof t.s, "NaN");
    } else if (isinf(x)) {
        snprintf(t.s, sizeof t.s, x > 0 ? "Infinity" : "-Infinity");
    } else {
        snprintf(t.s, sizeof t.s, "%.4g", x + 0.0); // no "-0"
    }
    return t;
}

struct word text_count(double x) {
    if (!isfinite(x)) {
        return text_number(x);
    }
    struct word t;
    snprintf(t.s, sizeof t.s, "%.0f", x);
    return t;
}

struct word text_duration(double seconds) {
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}};
    struct word t;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (seconds >= 2 * units[i].seconds) {
            snprintf(t.s, sizeof t.s, "%.3g %s", seconds / units[i].seconds, units[i].name);
            return t;
        }
    }
    snprintf(t.s, sizeof t.s, "%.3g s", seconds);
    return t;
}

struct text text_time(double epoch_s) {
    struct text t;
    if (!isfinite(epoch_s) || fabs(epoch_s) > 1e11) {
        snprintf(t.s, sizeof t.s, "%s", text_number(epoch_s).s);
        return t;
    }
    time_t seconds = (time_t)epoch_s;
    struct tm local;
    char moment[32] = "";
    if (localtime_r(&seconds, &local)) {
        strftime(moment, sizeof moment, "%Y-%m-%d %H:%M:%S", &local);
    }
    double age_s = clock_wall_s() - epoch_s;
    if (fabs(age_s) < 1) {
        snprintf(t.s, sizeof t.s, "%s (now)", moment);
    } else if (age_s > 0) {
        snprintf(t.s, sizeof t.s, "%s (%s ago)", moment, text_duration(age_s).s);
    } else {
        snprintf(t.s, sizeof t.s, "%s (in %s)", moment, text_duration(-age_s).s);
    }
    return t;
}

struct word text_bytes(double n) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    while (n >= 1000 && i + 1 < sizeof units / sizeof units[0]) {
        n /= 1024;
        i++;
    }
    struct word t;
    snprintf(t.s, sizeof t.s, "%.*f %s", i == 0 || n >= 100 ? 0 : 1, n, units[i]);
    return t;
}
