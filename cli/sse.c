#include "cli/sse.h"

#include <stdio.h>
#include <string.h>

enum { EVENT_MAX = 64 << 20 };

void sse_init(struct sse *sse, sse_event take, void *context) {
    *sse = (struct sse){.take = take, .context = context};
    buf_init(&sse->line, EVENT_MAX);
    buf_init(&sse->data, EVENT_MAX);
}

void sse_free(struct sse *sse) {
    buf_free(&sse->line);
    buf_free(&sse->data);
}

void sse_reset(struct sse *sse) {
    buf_clear(&sse->line);
    buf_clear(&sse->data);
    sse->event[0] = '\0';
}

static void dispatch(struct sse *sse) {
    if (sse->data.len) {
        sse->take(sse->context, sse->event[0] ? sse->event : "message", buf_str(&sse->data));
    }
    buf_clear(&sse->data);
    sse->event[0] = '\0';
}

static void take_line(struct sse *sse, char *line) {
    char *colon = strchr(line, ':');
    const char *value = "";
    if (colon == line) {
        return; // a comment, sent to keep the connection alive
    }
    if (colon) {
        *colon = '\0';
        value = colon[1] == ' ' ? colon + 2 : colon + 1;
    }
    if (strcmp(line, "event") == 0) {
        snprintf(sse->event, sizeof sse->event, "%s", value);
    } else if (strcmp(line, "data") == 0) {
        buf_puts(&sse->data, sse->data.len ? "\n" : "");
        buf_puts(&sse->data, value);
    }
}

static void end_line(struct sse *sse) {
    struct buf *line = &sse->line;
    if (line->len && line->data[line->len - 1] == '\r') {
        line->data[--line->len] = '\0';
    }
    if (line->len == 0) {
        dispatch(sse);
    } else {
        take_line(sse, line->data);
    }
    buf_clear(line);
}

bool sse_feed(struct sse *sse, const char *bytes, size_t n) {
    const char *end = bytes + n;
    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        const char *stop = newline ? newline : end;
        buf_put(&sse->line, bytes, (size_t)(stop - bytes));
        if (sse->line.failed || sse->data.failed) {
            return false;
        }
        if (newline) {
            end_line(sse);
        }
        bytes = stop + (newline != NULL);
    }
    return true;
}
