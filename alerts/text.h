// Sentences of a bounded length.
#ifndef ALERTS_TEXT_H
#define ALERTS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define TEXT_NAME_SHOWN 120 // characters of a layer's name

struct text {
    char *at;
    size_t left;
};

// Appends; what does not fit is cut.
__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *format, ...);
// "layer fc1", or "the run" for NULL.
void text_add_subject(struct text *t, const char *layer);
// "" for one, "s" for more.
const char *text_plural(uint64_t n);

#endif
