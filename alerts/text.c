#include "alerts/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_add(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

void text_add_subject(struct text *t, const char *layer) {
    if (layer) {
        text_add(t, "layer %.*s", TEXT_NAME_SHOWN, layer);
    } else {
        text_add(t, "the run");
    }
}

const char *text_plural(uint64_t n) {
    return n == 1 ? "" : "s";
}
