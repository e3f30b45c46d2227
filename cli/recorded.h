// A recorded run line by line: NDJSON, gzipped or not, lines of any length, and the little that
// replay must know of a line. Nothing is judged here; the daemon does that.
#ifndef CLI_RECORDED_H
#define CLI_RECORDED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/check.h"

struct recorded;

// "-" is standard input. NULL with a reason when it cannot be opened.
struct recorded *recorded_open(const char *path, char *reason, size_t reason_size);
void recorded_close(struct recorded *file);

// A line, or a piece of one that is longer than the buffer.
struct recorded_line {
    const char *text; // with its newline; the file's, until the next call
    size_t len;
    bool first; // begins a line
    bool last;  // ends it; a newline that the file's last line lacks is added
};

// 1: a line, 0: the end, -1: the file cannot be read further (recorded_error() says why).
WARN_UNUSED int recorded_next(struct recorded *file, struct recorded_line *line);
const char *recorded_error(const struct recorded *file);
// The part of the file that has been read, 0 to 1; -1 where unknown.
double recorded_progress(const struct recorded *file);

// The text of a member's value in the line's object itself, not in those within it. False when
// there is none.
bool recorded_find(const struct recorded_line *line, const char *key, const char **value,
                   size_t *len);
// Whether `type` is this one.
bool recorded_is(const struct recorded_line *line, const char *type);
// A number member; num_missing() when there is none.
double recorded_number(const struct recorded_line *line, const char *key);

// Appends the line with member `key` set to a JSON text; every other byte stays as it is.
void recorded_put_with(struct buf *out, const struct recorded_line *line, const char *key,
                       const char *json);

#endif
