// Server-Sent Events out of a stream of bytes (the part of the WHATWG grammar that carries events).
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include <stddef.h>

#include "base/buf.h"

// data is NUL-terminated; the lines of an event's data come joined by newlines.
typedef void (*sse_event)(void *context, const char *event, const char *data);

struct sse {
    struct buf line;
    struct buf data;
    char event[64];
    sse_event take;
    void *context;
};

void sse_init(struct sse *sse, sse_event take, void *context);
void sse_free(struct sse *sse);
// Forgets what is half read, for a new connection.
void sse_reset(struct sse *sse);
// False when an event is too large to hold.
bool sse_feed(struct sse *sse, const char *bytes, size_t n);

#endif
