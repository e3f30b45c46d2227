// Strings of the wire: escapes, UTF-8, and bare non-finite tokens.
#include "wire/json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void put_utf8(struct buf *out, uint32_t c) {
    if (c < 0x80) {
        buf_putc(out, (char)c);
    } else if (c < 0x800) {
        buf_putc(out, (char)(0xC0 | (c >> 6)));
        buf_putc(out, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_putc(out, (char)(0xE0 | (c >> 12)));
        buf_putc(out, (char)(0x80 | ((c >> 6) & 0x3F)));
        buf_putc(out, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_putc(out, (char)(0xF0 | (c >> 18)));
        buf_putc(out, (char)(0x80 | ((c >> 12) & 0x3F)));
        buf_putc(out, (char)(0x80 | ((c >> 6) & 0x3F)));
        buf_putc(out, (char)(0x80 | (c & 0x3F)));
    }
}

static uint32_t hex4(const char *p) {
    uint32_t c = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t digit = (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
        c = c << 4 | digit;
    }
    return c;
}

// p stands on the four digits behind a \u; returns how many bytes were taken, 0 when it is no
// character.
static size_t unescape_unicode(const char *p, const char *end, struct buf *out) {
    uint32_t c = hex4(p);
    size_t taken = 4;
    if (c >= 0xD800 && c < 0xDC00 && end - p >= 10 && p[4] == '\\' && p[5] == 'u') {
        uint32_t low = hex4(p + 6);
        if (low < 0xDC00 || low > 0xDFFF) {
            return 0;
        }
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        taken = 10;
    }
    if (c == 0 || (c >= 0xD800 && c < 0xE000)) {
        return 0;
    }
    put_utf8(out, c);
    return taken;
}

bool json_unescape(struct slice raw, struct buf *out) {
    const char *p = raw.text, *end = raw.text + raw.len;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        const char *to = escape ? escape : end;
        buf_put(out, p, (size_t)(to - p));
        p = to;
        if (p == end) {
            break;
        }
        static const char from_letters[] = "bfnrt", to_bytes[] = "\b\f\n\r\t";
        char letter = p[1];
        p += 2;
        if (letter == 'u') {
            size_t taken = unescape_unicode(p, end, out);
            if (!taken) {
                return false;
            }
            p += taken;
        } else {
            const char *at = strchr(from_letters, letter);
            buf_putc(out, at ? to_bytes[at - from_letters] : letter);
        }
    }
    return !out->failed;
}

void json_put_string(struct buf *out, const char *text, size_t len) {
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            buf_putc(out, '\\');
            buf_putc(out, (char)c);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_putc(out, (char)c);
        }
    }
    buf_putc(out, '"');
}

void json_quote_nonfinite(const char *text, size_t len, struct buf *out) {
    bool in_string = false;
    for (size_t i = 0; i < len;) {
        size_t word = 0;
        if (in_string && text[i] == '\\') {
            word = len - i < 2 ? len - i : 2;
            buf_put(out, text + i, word);
            i += word;
            continue;
        }
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && text[i] == 'N') {
            word = strlen("NaN");
        } else if (!in_string && text[i] == 'I') {
            word = strlen("Infinity");
        } else if (!in_string && text[i] == '-' && i + 1 < len && text[i + 1] == 'I') {
            word = strlen("-Infinity");
        }
        word = word < len - i ? word : len - i;
        if (word) {
            buf_putc(out, '"');
            buf_put(out, text + i, word);
            buf_putc(out, '"');
            i += word;
        } else {
            buf_putc(out, text[i++]);
        }
    }
}

// Length of the well-formed sequence at p (Unicode 15, table 3-7), 0 when there is none.
static size_t utf8_sequence(const unsigned char *p, size_t left) {
    size_t n = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (n == 0 || left < n) {
        return 0;
    }
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

bool utf8_valid(const char *text, size_t len, size_t *bad) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof eight) {
            memcpy(&eight, p + i, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                i += sizeof eight;
                continue;
            }
        }
        size_t n = p[i] < 0x80 ? 1 : utf8_sequence(p + i, len - i);
        if (n == 0) {
            *bad = i;
            return false;
        }
        i += n;
    }
    return true;
}
