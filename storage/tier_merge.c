// Many pieces of a tier become one, and the piece of the next tier that is made of it.
#include "storage/compact_state.h"
#include "storage/loaded.h"
#include "storage/record.h"
#include "storage/schema.h"
#include "storage/tier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MERGE_PIECES PARCEL_GONE
#define MERGE_PIECES_OVER 4
#define MERGE_VALUES ((size_t)1 << 20) // bounds the memory and the work of one merge

struct merging {
    struct builder *builder;
    struct place pieces[MERGE_PIECES];
    size_t n;
    bool is_damaged; // the last of the pieces
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
static int gather(struct compactor *k, struct merging *m, sqlite3_stmt *q) {
    int rc = SQLITE_ROW;
    while (m->n < MERGE_PIECES && builder_values(m->builder) < MERGE_VALUES &&
           (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct place *p = &m->pieces[m->n++];
        struct loaded l;
        place_read(q, p);
        if (!loaded_read(&l, &k->c, k->codec, sqlite3_column_blob(q, 11),
                         (size_t)sqlite3_column_bytes(q, 11), p->first_block)) {
            return 0;
        }
        bool good = add_entries(m->builder, &l);
        loaded_free(&l);
        if (!good) {
            snprintf(k->c.error, sizeof k->c.error, "no memory to merge a tier");
            return -1;
        }
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 1 : connection_fail(&k->c);
}

// Of an attempt that is over and packed fewer are merged, since no more will come.
#define FIND_SQL(which)                                                                            \
    "SELECT attempt, kind, level, count(*) AS pieces FROM segment WHERE " which                    \
    "level%2=1 AND EXISTS (SELECT 1 FROM attempt WHERE id=segment.attempt) "                       \
    "GROUP BY attempt, kind, level HAVING pieces>?2 OR (pieces>?3 AND "                            \
    "EXISTS (SELECT 1 FROM attempt AS a JOIN run AS r ON r.id=a.run WHERE a.id=segment.attempt "   \
    "AND (r.status<>?4 OR EXISTS (SELECT 1 FROM attempt AS later WHERE later.run=a.run "           \
    "AND later.id>a.id))) AND NOT EXISTS (SELECT 1 FROM step WHERE key BETWEEN "                   \
    "segment.attempt<<?5 AND ((segment.attempt+1)<<?5)-1)) LIMIT 1"

// One that has enough pieces, of the attempt that grew last or, once after the start, of all.
static int find(struct compactor *k, int64_t place[4]) {
    const int64_t arguments[] = {k->grown_attempt, MERGE_PIECES, MERGE_PIECES_OVER, RUN_RUNNING,
                                 SCHEMA_STEP_BITS};
    sqlite3_stmt *q =
        place_borrow(&k->c, k->all_grew ? FIND_SQL("") : FIND_SQL("attempt=?1 AND "), arguments, 5);
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    for (int i = 0; rc == SQLITE_ROW && i < 4; i++) {
        place[i] = sqlite3_column_int64(q, i);
    }
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(&k->c);
    connection_give_back(&k->c, q);
    return result;
}

// All pieces but the last, which may yet be packed anew with what follows.
static int begin(struct compactor *k, int64_t place[4], struct merging **out) {
    place[3] = place[3] > MERGE_PIECES ? MERGE_PIECES : place[3] - 1;
    sqlite3_stmt *q = place_borrow(&k->c,
                                   "SELECT " PLACE_COLUMNS ", head FROM segment WHERE attempt=?1 "
                                   "AND kind=?2 AND level=?3 ORDER BY first_step, id LIMIT ?4",
                                   place, 4);
    if (!q) {
        return -1;
    }
    struct merging *m = NEW(struct merging);
    m->builder = builder_create((enum segment_kind)place[1], (unsigned)place[2] + 1);
    int rc = gather(k, m, q);
    connection_give_back(&k->c, q);
    m->is_damaged = rc == 0;
    if (rc < 0 || (rc == 1 && m->n <= 1)) {
        merging_destroy(m);
        return rc < 0 ? -1 : 0;
    }
    *out = m;
    return 1;
}

int merging_gather(struct compactor *k, struct merging **out) {
    int64_t place[4]; // attempt, kind, level, pieces
    if (!k->all_grew && !k->grown_attempt) {
        return 0;
    }
    int rc = find(k, place);
    if (rc == 1) {
        rc = begin(k, place, out);
    }
    if (rc == 0) {
        k->all_grew = false;
        k->grown_attempt = 0;
    }
    return rc;
}

// The piece of the next tier that is made of the merged one.
static bool pack_next(struct compactor *k, struct merging *m, unsigned tier, struct parcel *p) {
    if (tier > TIER_COUNT) {
        return true;
    }
    struct builder *next = builder_create(p->kind, tier_loose(tier));
    bool good = tier_build(m->builder, TIER_FACTOR, next) &&
                builder_pack(next, k->codec, &p->packed[p->n_packed]);
    builder_destroy(next);
    p->n_packed += good;
    return good;
}

bool merging_pack(struct compactor *k, struct merging *m, struct parcel *p) {
    const struct place *last = &m->pieces[m->n - 1];
    p->attempt = last->attempt;
    p->kind = last->kind;
    p->time = last->time;
    if (m->is_damaged) { // it is given up: the tier below, or the steps, still have what it had
        p->gone[0] = *last;
        p->n_gone = 1;
        return true;
    }
    memcpy(p->gone, m->pieces, m->n * sizeof *p->gone);
    p->n_gone = m->n;
    if (!builder_pack(m->builder, k->codec, &p->packed[0])) {
        return false;
    }
    p->n_packed = 1;
    return pack_next(k, m, (last->level + 1) / 2 + 1, p);
}

void merging_destroy(struct merging *m) {
    if (m) {
        builder_destroy(m->builder);
        free(m);
    }
}
