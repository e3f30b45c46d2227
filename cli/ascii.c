#define _GNU_SOURCE // strcasestr()
#include "cli/ascii.h"

#include <stdlib.h>
#include <string.h>

bool ascii_is_wanted(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) {
            return !strcasestr(value, "utf-8") && !strcasestr(value, "utf8");
        }
    }
    return false;
}

// A curve's dots: where in the line they lie.
static char braille(unsigned dots) {
    bool top = dots & 0x09, upper = dots & 0x12, lower = dots & 0x24, bottom = dots & 0xC0;
    if (top + upper + lower + bottom > 2) {
        return '|';
    }
    return bottom ? '.' : top ? '\'' : upper || lower ? '-' : ' ';
}

char ascii_for(wchar_t c) {
    if (c < 0x80) {
        return (char)c;
    }
    if (c >= 0x2800 && c <= 0x28FF) {
        return braille((unsigned)c - 0x2800);
    }
    switch (c) {
    case L'–':
        return '-';
    case L'…':
        return '~';
    case L'·':
    case L'░':
        return '.';
    case L'▒':
        return ':';
    case L'▓':
        return '%';
    case L'█':
    case L'▉':
    case L'▊':
    case L'▋':
    case L'▌':
        return '#';
    case L'▍':
    case L'▎':
    case L'▏':
        return '|'; // what is left of a bar, and the stump of the coldest
    default:
        return '?';
    }
}
