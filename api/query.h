// The query part of a request against the parameters that its call takes. No I/O; any thread.
#ifndef API_QUERY_H
#define API_QUERY_H

#include "api/emit.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum parameter_kind {
    PARAMETER_TEXT,
    PARAMETER_INTEGER, // from min to max
    PARAMETER_CHOICE,  // one of choices; its number is the index there
    PARAMETER_CURSOR,  // as cursor_emit() wrote it
    PARAMETER_TEXTS,   // may be repeated
    PARAMETER_LIST     // may be repeated, and holds several separated by commas
};

struct parameter {
    const char *name; // NULL ends a table
    enum parameter_kind kind;
    int64_t min, max;
    const char *const *choices; // NULL-terminated
    const char *help;           // for the OpenAPI document
};

struct argument {
    const struct parameter *parameter;
    char *text; // decoded, UTF-8 without NUL, not empty
    int64_t number;
};

struct query {
    struct argument *arguments;
    size_t n;
};

// Reads `text` (what stands behind the question mark; NULL: nothing). -1 with a sentence in
// *problem: which parameter, what was got and what was expected. *q is then empty.
int query_read(struct query *q, const char *text, const struct parameter *parameters,
               struct buf *problem) WARN_UNUSED;
void query_free(struct query *q);
// The parameter's value, NULL when it was not given.
const char *query_text(const struct query *q, const char *name);
// Its number, index or cursor; `fallback` when it was not given.
int64_t query_number(const struct query *q, const char *name, int64_t fallback);
// All values of a repeatable one: starts with *at = 0, NULL behind the last.
const char *query_next(const struct query *q, const char *name, size_t *at);

// Resolves %XX (and '+' for a space) in place. False for a broken escape, a NUL, or what is not
// UTF-8.
bool percent_decode(char *text, bool plus_is_space);

// Writes `next_cursor`: the place in a list behind which the next page begins, as text that says
// nothing; null where there is none.
void cursor_emit(struct emit *e, bool has_next, int64_t place);

#endif
