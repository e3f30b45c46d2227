// Many pieces of a tier become one, and the piece of the next tier that is made of it.
#include "storage/loaded.h"
#include "storage/place.h"
#include "storage/tier.h"
#include "storage/upkeep_state.h"

#include <stdio.h>

#define MERGE_PIECES 32
#define MERGE_VALUES ((size_t)1 << 20) // bounds the memory and the work of one merge

struct merging {
    struct upkeep *u;
    struct builder *builder;
    struct place pieces[MERGE_PIECES];
    size_t n;
};

static bool add_entries(struct builder *b, const struct loaded *l) {
    builder_set_layers(b, l->s.layers);
    for (size_t i = 0; i < l->s.n; i++) {
        if (!builder_add_bucket(b, l->s.firsts[i], l->s.steps[i])) {
            return false;
        }
        for (size_t k = 0; k < l->s.n_columns; k++) {
            const struct segment_column *c = &l->s.columns[k];
            double *to = builder_column(b, &c->key, c->rows);
            if (!to) {
                return false;
            }
            for (size_t r = 0; r < c->rows; r++) {
                to[r] = l->columns[k][r * l->s.n + i];
            }
        }
    }
    return true;
}

// Adds the pieces that a statement gives. 1, 0 when one of them is damaged (the last in `pieces`),
// -1.
static int gather(struct merging *m, sqlite3_stmt *q) {
    int rc = SQLITE_ROW;
    while (m->n < MERGE_PIECES && builder_values(m->builder) < MERGE_VALUES &&
           (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct place *p = &m->pieces[m->n++];
        struct loaded l;
        place_read(q, p);
        if (!loaded_read(&l, m->u->c, m->u->codec, sqlite3_column_blob(q, 11),
                         (size_t)sqlite3_column_bytes(q, 11), p->first_block)) {
            return 0;
        }
        bool good = add_entries(m->builder, &l);
        loaded_free(&l);
        if (!good) {
            snprintf(m->u->c->error, sizeof m->u->c->error, "no memory to merge a tier");
            return -1;
        }
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 1 : connection_fail(m->u->c);
}

static int delete_pieces(struct merging *m, size_t first) {
    for (size_t i = first; i < m->n; i++) {
        if (place_delete(m->u->c, &m->pieces[i])) {
            return -1;
        }
    }
    return 0;
}

// Packs the builder and puts it into the store.
static int insert(struct upkeep *u, struct builder *b, const struct place *last) {
    if (!builder_pack(b, u->codec, &u->packed)) {
        snprintf(u->c->error, sizeof u->c->error, "no memory to pack a tier");
        return -1;
    }
    return place_insert(u->c, last->attempt, &u->packed, last->time);
}

static int insert_next(struct merging *m, unsigned tier, const struct place *last) {
    if (tier > TIER_COUNT) {
        return 0;
    }
    struct builder *next = builder_create(last->kind, tier_loose(tier));
    int rc = -1;
    if (tier_build(m->builder, TIER_FACTOR, next)) {
        rc = insert(m->u, next, last);
    } else {
        snprintf(m->u->c->error, sizeof m->u->c->error, "no memory to make a tier");
    }
    builder_destroy(next);
    return rc;
}

static int replace(struct merging *m, unsigned tier) {
    if (upkeep_begin(m->u->c)) {
        return -1;
    }
    const struct place *last = &m->pieces[m->n - 1];
    int rc = insert(m->u, m->builder, last) || insert_next(m, tier + 1, last) || delete_pieces(m, 0)
                 ? -1
                 : 1;
    return upkeep_end(m->u->c, rc);
}

// A damaged piece is given up: the tier below, or the steps, still have what it had.
static int give_up(struct merging *m) {
    if (upkeep_begin(m->u->c)) {
        return -1;
    }
    return upkeep_end(m->u->c, delete_pieces(m, m->n - 1) ? -1 : 1);
}

static int merge(struct upkeep *u, const int64_t place[3]) {
    unsigned level = (unsigned)place[2];
    sqlite3_stmt *q = place_prepare(u->c,
                                    "SELECT " PLACE_COLUMNS ", head FROM segment WHERE attempt=?1 "
                                    "AND kind=?2 AND level=?3 ORDER BY first_step, id",
                                    place, 3);
    if (!q) {
        return -1;
    }
    struct merging m = {.u = u, .builder = builder_create((enum segment_kind)place[1], level + 1)};
    int rc = gather(&m, q);
    sqlite3_finalize(q);
    if (rc >= 0) {
        rc = rc == 0 ? give_up(&m) : m.n > 1 ? replace(&m, (level + 1) / 2) : 0;
    }
    builder_destroy(m.builder);
    return rc;
}

// One that has enough pieces, of the attempt that grew last or, once after the start, of all.
static int find(struct upkeep *u, int64_t place[3]) {
    const int64_t arguments[] = {u->grown_attempt, MERGE_PIECES};
    sqlite3_stmt *q = place_prepare(
        u->c,
        u->all_grew ? "SELECT attempt, kind, level FROM segment WHERE level%2=1 "
                      "GROUP BY attempt, kind, level HAVING count(*)>?2 LIMIT 1"
                    : "SELECT attempt, kind, level FROM segment WHERE attempt=?1 AND level%2=1 "
                      "GROUP BY attempt, kind, level HAVING count(*)>?2 LIMIT 1",
        arguments, 2);
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    for (int i = 0; rc == SQLITE_ROW && i < 3; i++) {
        place[i] = sqlite3_column_int64(q, i);
    }
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(u->c);
    sqlite3_finalize(q);
    return result;
}

int upkeep_merge(struct upkeep *u) {
    int64_t place[3];
    if (!u->all_grew && !u->grown_attempt) {
        return 0;
    }
    int rc = find(u, place);
    if (rc == 1) {
        rc = merge(u, place);
    }
    if (rc == 0) {
        u->all_grew = false;
        u->grown_attempt = 0;
    }
    return rc;
}
