// Rows of the tables `segment` and `block`: finding, inserting and deleting segments. Inside
// storage/. Functions return 0 or -1 with connection.error, unless they say otherwise.
#ifndef STORAGE_PLACE_H
#define STORAGE_PLACE_H

#include "storage/segment.h"
#include "storage/statement.h"

struct place {
    int64_t id, attempt;
    enum segment_kind kind;
    unsigned level;
    int64_t first_step, last_step, n;
    double time;
    int64_t bytes, first_block, n_blocks;
};

// The last segment of that kind and level. 1 and *out, 0 when there is none, -1.
int place_last(struct connection *c, int64_t attempt, enum segment_kind kind, unsigned level,
               struct place *out) WARN_UNUSED;
// Inserts a packed segment with its blocks.
int place_insert(struct connection *c, int64_t attempt, const struct packed *p,
                 double time) WARN_UNUSED;
// Deletes it with its blocks.
int place_delete(struct connection *c, const struct place *p) WARN_UNUSED;
// Reads the row of a statement that selects PLACE_COLUMNS first.
#define PLACE_COLUMNS                                                                              \
    "id, attempt, kind, level, first_step, last_step, n, time, bytes, first_block, n_blocks"
void place_read(sqlite3_stmt *q, struct place *out);
// Prepares, for statements that are used once in a while; NULL with connection.error. With
// `arguments` integers bound in order.
sqlite3_stmt *place_prepare(struct connection *c, const char *sql, const int64_t *arguments,
                            int n) WARN_UNUSED;
// Likewise, for those that are used again and again: to be given back (connection_borrow).
sqlite3_stmt *place_borrow(struct connection *c, const char *sql, const int64_t *arguments,
                           int n) WARN_UNUSED;
// Both, for what gives back no rows.
int place_run(struct connection *c, const char *sql, const int64_t *arguments, int n) WARN_UNUSED;

#endif
