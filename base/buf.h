// A growable byte buffer with a hard maximum. Once an append would pass the maximum (or memory is
// gone) the buffer is marked failed and ignores further appends, so that a writer can append many
// pieces and look once, at the end. Only large ones can be without memory (base/memory.h).
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; // NUL-terminated after buf_str() and every buf_put*(); may hold NUL bytes inside
    size_t len; // bytes used
    size_t cap; // bytes allocated
    size_t max; // most bytes it may ever hold
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
void buf_clear(struct buf *b); // keeps the memory

// Makes room for n more bytes and returns where they go, or NULL (and marks the buffer failed).
char *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Drops the first n bytes.
void buf_drop(struct buf *b, size_t n);
// The content as a string; "" for an empty buffer.
const char *buf_str(struct buf *b);

#endif
