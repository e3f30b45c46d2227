// Compaction: the oldest journal rows of an attempt become a segment, in one transaction, so that
// at every moment each step is in exactly one place.
//
// A segment is packed when the journal has enough of an attempt for a full one, or, of an attempt
// that is over (its run ended or fell silent, or a later attempt began), whatever there is. A last
// segment that is small is packed anew together with what follows it. So that little stays in the
// journal of a run that pauses or goes on slowly, what has come since is packed then, too, once it
// is half as much as the small segment.
//
// Reading is over before anything is packed: no read transaction is in a checkpoint's way for long.
#include "base/clock.h"
#include "storage/compact_state.h"
#include "storage/cursor.h"
#include "storage/reader.h"
#include "storage/record.h"
#include "storage/schema.h"
#include "storage/store.h"
#include "storage/tier.h"
#include "storage/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Journal bytes that make a full segment: the work of one transaction, for which commits wait.
#define FULL_BYTES ((int64_t)1 << 20)
#define FULL_STEPS 4096
// Readings come seldom: what waits of them is read row by row.
#define READINGS_ROWS 256
// Full segments make whole buckets of the first tier.
#define STEPS_ROUND TIER_FIRST
// When the journals of many attempts together pass this, each is packed at its share of it.
#define JOURNAL_BYTES ((int64_t)64 << 20)
#define SHARE_BYTES_MIN ((int64_t)128 << 10)
// A last segment of less than this share of a full one is packed anew.
#define SMALL_SHARE 4
// A run is quiet when nothing came for so long; then so many steps are worth a segment.
#define QUIET_S 1.0
#define QUIET_STEPS 16
// Tiers begin behind so many segments of an attempt: fewer are read as fast as they are.
#define TIER_BEHIND 4
// Parcels refused one after another before their attempt is left alone.
#define REFUSALS_MAX 3

// What the journal has of one attempt.
struct backlog {
    int64_t attempt;
    enum segment_kind kind;
    int64_t first_step, last_step; // of the rows to be packed
    int64_t row_bytes;             // of the first
    int64_t full;                  // rows of a full segment
    int64_t small;                 // rows of a last segment that is small
    bool is_over, is_quiet;
};

static const char *const first_sql[] = {
    [SEGMENT_STEPS] = "SELECT key FROM step WHERE key>=?1 ORDER BY key LIMIT 1",
    [SEGMENT_MESSAGES] = "SELECT key FROM scalars WHERE key>=?1 ORDER BY key LIMIT 1",
    [SEGMENT_READINGS] = "SELECT key FROM reading WHERE key>=?1 ORDER BY key LIMIT 1",
};
static const char *const last_sql[] = {
    [SEGMENT_STEPS] = "SELECT key FROM step WHERE key<?1 ORDER BY key DESC LIMIT 1",
    [SEGMENT_MESSAGES] = "SELECT key FROM scalars WHERE key<?1 ORDER BY key DESC LIMIT 1",
    [SEGMENT_READINGS] = "SELECT key FROM reading WHERE key<?1 ORDER BY key DESC LIMIT 1",
};
static const char *const bytes_sql[] = {
    [SEGMENT_STEPS] = "SELECT length(columns) FROM step WHERE key>=?1 ORDER BY key LIMIT 1",
    [SEGMENT_MESSAGES] = "SELECT length(columns) FROM scalars WHERE key>=?1 ORDER BY key LIMIT 1",
    [SEGMENT_READINGS] = "SELECT length(columns) FROM reading WHERE key>=?1 ORDER BY key LIMIT 1",
};

static struct compact_hint *hint_of(struct compactor *k, int64_t attempt, enum segment_kind kind) {
    return &k->hints[((uint64_t)attempt * SEGMENT_KINDS + kind) % COMPACT_HINTS];
}

static void remember(struct compactor *k, const struct backlog *b, bool is_broken) {
    *hint_of(k, b->attempt, b->kind) = (struct compact_hint){.attempt = b->attempt,
                                                             .kind = b->kind,
                                                             .last_step = b->last_step,
                                                             .is_over = b->is_over,
                                                             .is_broken = is_broken};
}

// True when it was looked at before and has neither become twice as long nor come to its end.
static bool is_known(struct compactor *k, const struct backlog *b) {
    const struct compact_hint *h = hint_of(k, b->attempt, b->kind);
    return h->attempt == b->attempt && h->kind == b->kind &&
           (h->is_broken || ((h->is_over || !b->is_over) &&
                             b->last_step - b->first_step < 2 * (h->last_step - b->first_step)));
}

// Whether the attempt is over, or quiet. 1, 0 when there is no such attempt: its run was deleted;
// -1.
static int look_at_run(struct connection *c, struct backlog *b) {
    sqlite3_stmt *q = place_borrow(c,
                                   "SELECT r.status<>?2 OR EXISTS (SELECT 1 FROM attempt AS later "
                                   "WHERE later.run=a.run AND later.id>a.id), r.last_seen "
                                   "FROM attempt AS a JOIN run AS r ON r.id=a.run WHERE a.id=?1",
                                   (const int64_t[]){b->attempt, RUN_RUNNING}, 2);
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        b->is_over = sqlite3_column_int(q, 0);
        b->is_quiet = clock_wall_s() - sqlite3_column_double(q, 1) > QUIET_S;
    }
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(c);
    connection_give_back(c, q);
    return result;
}

// What is behind the attempt's last segment. 1, 0 when there is nothing, -1.
static int look(struct compactor *k, int64_t attempt, enum segment_kind kind, struct backlog *b) {
    struct place last;
    int found = place_last(&k->c, attempt, kind, 0, &last);
    *b = (struct backlog){.attempt = attempt, .kind = kind};
    int64_t from = schema_key(attempt, found == 1 ? last.last_step + 1 : 0), first, end;
    const int64_t behind = schema_key(attempt + 1, 0);
    if (found < 0 || upkeep_integer(&k->c, first_sql[kind], &from, 1, &first) < 0 ||
        upkeep_integer(&k->c, last_sql[kind], &behind, 1, &end) < 0 ||
        upkeep_integer(&k->c, bytes_sql[kind], &from, 1, &b->row_bytes) < 0) {
        return -1;
    }
    if (first < from || end < from) {
        return 0;
    }
    b->first_step = schema_key_step(first);
    b->last_step = schema_key_step(end);
    b->small = found == 1 && last.last_step < b->first_step ? last.n : 0;
    return look_at_run(&k->c, b);
}

// How many rows of an attempt make a segment, when so many attempts have a journal.
static int64_t full_rows(int64_t row_bytes, int64_t n_attempts) {
    int64_t share = JOURNAL_BYTES / (n_attempts ? n_attempts : 1);
    int64_t bytes = share > FULL_BYTES        ? FULL_BYTES
                    : share < SHARE_BYTES_MIN ? SHARE_BYTES_MIN
                                              : share;
    int64_t rows = bytes / (row_bytes ? row_bytes : 1);
    rows = rows > FULL_STEPS ? FULL_STEPS : rows;
    return rows > STEPS_ROUND ? rows - rows % STEPS_ROUND : rows ? rows : 1;
}

// A last segment that is to be packed anew. 1 and *last, 0, -1.
static int find_small(struct compactor *k, const struct backlog *b, struct place *last) {
    int found = place_last(&k->c, b->attempt, b->kind, 0, last);
    return found == 1 && last->n * SMALL_SHARE < b->full && last->last_step < b->first_step ? 1
           : found < 0                                                                      ? -1
                                                                                            : 0;
}

// What is to be packed.
struct gathering {
    struct backlog b;
    struct builder *builder;
    double time; // of the last step
    bool wants_tier;
    bool tier_only;       // of steps that are packed
    struct place gone[2]; // a small segment that is packed anew, and its piece of the tier
    size_t n_gone;
};

// Fills the builder from `from` on. 1 when the attempt has more than fits, 0 when not, -1.
static int fill(struct compactor *k, struct gathering *g, int64_t from, bool *damaged) {
    struct step_cursor *cursor;
    struct step step;
    step_init(&step);
    const struct backlog *b = &g->b;
    int rc = cursor_open(&cursor, &k->c, k->codec, b->kind, b->attempt, from, b->last_step);
    bool fits = true;
    while (rc == 0 && fits && (int64_t)builder_n(g->builder) < b->full) {
        rc = step_cursor_next(cursor, &step);
        if (rc == 1) {
            fits = builder_add_step(g->builder, &step);
            g->time = fits ? step.time : g->time;
            rc = 0;
        } else if (rc == 0) {
            break;
        }
    }
    bool more = !fits || (int64_t)builder_n(g->builder) >= b->full;
    *damaged = rc == 0 && step_cursor_damage(cursor)->segments > 0;
    step_cursor_close(cursor);
    step_free(&step);
    return rc < 0 ? -1 : more;
}

// Ends the segment where it may end: messages of one step stay together, steps make whole buckets.
static void trim(struct builder *builder, const struct backlog *b, bool more) {
    size_t n = builder_n(builder);
    if (more && b->kind == SEGMENT_MESSAGES) {
        size_t keep = n;
        while (keep > 0 && builder_step(builder, keep - 1) == builder_step(builder, n - 1)) {
            keep--;
        }
        builder_truncate(builder, keep);
    } else if (more && n > STEPS_ROUND) {
        builder_truncate(builder, n - n % STEPS_ROUND);
    }
}

// Tiers begin with an attempt's segment number TIER_BEHIND + 1; those before get theirs first, so
// that pieces come in the order of their steps. 1 and which has none yet, 0, -1.
static int find_without_tier(struct compactor *k, const struct backlog *b, int64_t before,
                             struct place *out) {
    const int64_t arguments[] = {b->attempt, b->kind, TIER_BEHIND, TIER_STEPS_MIN, before};
    sqlite3_stmt *q = place_borrow(
        &k->c,
        "SELECT " PLACE_COLUMNS " FROM (SELECT *, count(*) OVER () AS found FROM (SELECT * "
        "FROM segment WHERE attempt=?1 AND kind=?2 AND level=0 AND first_step<?5 "
        "ORDER BY first_step, id LIMIT ?3)) "
        "AS s WHERE found=?3 AND n>=?4 AND NOT EXISTS (SELECT 1 FROM segment AS t WHERE "
        "t.attempt=?1 AND t.kind=?2 AND (t.level=2 OR (t.level=1 AND t.first_step>=s.first_step))) "
        "ORDER BY first_step LIMIT 1",
        arguments, 5);
    if (!q) {
        return -1;
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        place_read(q, out);
    }
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(&k->c);
    connection_give_back(&k->c, q);
    return result;
}

// 1 when the attempt has enough segments for tiers, 0, -1.
static int wants_tier(struct compactor *k, const struct gathering *g) {
    const int64_t before[] = {g->b.attempt, g->b.kind, builder_first(g->builder, 0),
                              TIER_BEHIND - 1};
    int64_t found;
    if (builder_n(g->builder) < TIER_STEPS_MIN) {
        return 0;
    }
    return upkeep_integer(&k->c,
                          "SELECT id FROM segment WHERE attempt=?1 AND kind=?2 AND level=0 "
                          "AND first_step<?3 LIMIT 1 OFFSET ?4",
                          before, 4, &found);
}

// A small segment that is replaced goes with its piece of the tier, which was not merged: it was
// the last.
static int add_tier_of_small(struct compactor *k, struct gathering *g) {
    struct place *tier = &g->gone[1];
    int found = place_last(&k->c, g->b.attempt, g->b.kind, tier_loose(1), tier);
    g->n_gone += found == 1 && tier->first_step == g->gone[0].first_step;
    return found < 0 ? -1 : 0;
}

// Whether the builder holds something of the journal.
static bool reaches_journal(const struct gathering *g) {
    size_t n = builder_n(g->builder);
    return n > 0 && builder_step(g->builder, n - 1) >= g->b.first_step;
}

// What was read is packed, if it is enough for a segment. 1, 0, -1.
static int decide(struct compactor *k, struct gathering *g, bool more) {
    if (!more && !g->b.is_over && !g->b.is_quiet) {
        return 0;
    }
    trim(g->builder, &g->b, more);
    if (!reaches_journal(g)) {
        return 0;
    }
    int tier = wants_tier(k, g);
    g->wants_tier = tier == 1;
    return tier < 0 || (g->n_gone && add_tier_of_small(k, g)) ? -1 : 1;
}

// The steps of a segment that lacks its tier, among those before `before`. 1, 0, -1.
static int gather_bare(struct compactor *k, struct gathering *g, int64_t before) {
    struct place bare;
    int rc = find_without_tier(k, &g->b, before, &bare);
    if (rc <= 0) {
        return rc;
    }
    const struct backlog b = g->b;
    bool damaged;
    g->b.last_step = bare.last_step;
    g->b.full = bare.n;
    rc = fill(k, g, bare.first_step, &damaged);
    g->b = b;
    g->tier_only = rc >= 0 && builder_n(g->builder) > 0;
    return rc < 0 ? -1 : g->tier_only;
}

// 1 when there is something to pack, 0 when there is too little, -1.
static int gather(struct compactor *k, struct gathering *g, bool with_small) {
    int found = with_small ? find_small(k, &g->b, &g->gone[0]) : 0;
    if (found < 0) {
        return -1;
    }
    g->n_gone = (size_t)found;
    int64_t from = found ? g->gone[0].first_step : g->b.first_step;
    int rc = gather_bare(k, g, from);
    if (rc) {
        return rc;
    }
    bool damaged = false;
    rc = fill(k, g, from, &damaged);
    if (rc >= 0 && found && (damaged || !reaches_journal(g))) {
        // The small one is damaged, or what follows does not fit to it.
        builder_clear(g->builder);
        return gather(k, g, false);
    }
    return rc < 0 ? -1 : decide(k, g, rc == 1);
}

static bool pack_tier(struct compactor *k, const struct gathering *g, struct packed *out) {
    struct builder *tier = builder_create(g->b.kind, tier_loose(1));
    bool good = tier_build(g->builder, TIER_FIRST, tier) && builder_pack(tier, k->codec, out);
    builder_destroy(tier);
    return good;
}

// False when memory is gone.
static bool pack(struct compactor *k, struct gathering *g, struct parcel *p) {
    const struct place *small = g->n_gone ? &g->gone[0] : NULL;
    p->attempt = g->b.attempt;
    p->kind = g->b.kind;
    p->time = g->time;
    p->last_key = schema_key(p->attempt, g->b.last_step);
    k->grown_attempt =
        g->b.is_over ? p->attempt : k->grown_attempt; // the rest of it: few are merged
    if (g->tier_only) {
        k->grown_attempt = p->attempt;
        p->n_packed = 1;
        return builder_complete(g->builder) && pack_tier(k, g, &p->packed[0]);
    }
    if (!builder_pack(g->builder, k->codec, &p->packed[0])) {
        return false;
    }
    p->n_packed = 1;
    if (g->wants_tier) {
        if (!pack_tier(k, g, &p->packed[1])) {
            return false;
        }
        p->n_packed = 2;
        k->grown_attempt = p->attempt;
    }
    p->n_gone = g->n_gone;
    memcpy(p->gone, g->gone, sizeof g->gone);
    int64_t first = small ? small->first_step : g->b.first_step;
    p->first_key = schema_key(p->attempt, first);
    p->last_key = schema_key(p->attempt, p->packed[0].last_step);
    p->row_bytes = g->b.row_bytes;
    p->n_rows = (int64_t)builder_n(g->builder) - (small ? small->n : 0);
    return true;
}

// Attempts that have a journal of that kind, up to a few more than matter. -1.
static int64_t count_attempts(struct compactor *k, enum segment_kind kind) {
    int64_t n = 0, key = 0, first;
    int rc;
    while (n < JOURNAL_BYTES / SHARE_BYTES_MIN &&
           (rc = upkeep_integer(&k->c, first_sql[kind], &key, 1, &first)) == 1) {
        key = schema_key((first >> SCHEMA_STEP_BITS) + 1, 0);
        n++;
    }
    return rc < 0 ? -1 : n;
}

static bool is_due(struct compactor *k, struct backlog *b) {
    int64_t rows = b->last_step - b->first_step + 1; // at most
    int64_t small = b->small * SMALL_SHARE < b->full ? b->small : 0;
    bool is_enough = rows >= QUIET_STEPS && rows >= small / 2;
    return !is_known(k, b) && (b->is_over || rows >= b->full || (b->is_quiet && is_enough));
}

static int try_attempt(struct compactor *k, int64_t attempt, enum segment_kind kind,
                       int64_t n_attempts, struct gathering *g) {
    int rc = look(k, attempt, kind, &g->b);
    if (rc <= 0) {
        return rc;
    }
    g->b.full = full_rows(g->b.row_bytes, n_attempts);
    if (kind == SEGMENT_READINGS && g->b.full > READINGS_ROWS) {
        g->b.full = READINGS_ROWS;
    }
    if (!is_due(k, &g->b)) {
        return 0;
    }
    g->builder = builder_create(kind, 0);
    rc = gather(k, g, true);
    if (rc <= 0) {
        builder_destroy(g->builder);
        g->builder = NULL;
        remember(k, &g->b, rc < 0 && sqlite3_errcode(k->c.db) == SQLITE_OK);
    }
    return rc;
}

// Looks for an attempt that has something to pack.
static int gather_kind(struct compactor *k, enum segment_kind kind, struct gathering *g) {
    int64_t n_attempts = count_attempts(k, kind), first, start = k->next_attempt[kind];
    for (int64_t looked = 0; n_attempts > 0 && looked <= n_attempts; looked++) {
        const int64_t from = schema_key(k->next_attempt[kind], 0);
        int found = upkeep_integer(&k->c, first_sql[kind], &from, 1, &first);
        if (found < 0) {
            return -1;
        }
        if (found == 0) {
            k->next_attempt[kind] = 0; // round again
            if (start == 0) {
                return 0;
            }
            start = 0;
            continue;
        }
        int64_t attempt = first >> SCHEMA_STEP_BITS;
        int rc = try_attempt(k, attempt, kind, n_attempts, g);
        if (rc) {
            return rc; // the same attempt again next time: it may have more
        }
        k->next_attempt[kind] = attempt + 1;
    }
    return n_attempts < 0 ? -1 : 0;
}

// Everything that is read, in one transaction. 1 when one of the two was found, 0, -1.
static int gather_all(struct compactor *k, struct gathering *g, struct merging **m) {
    if (place_run(&k->c, "BEGIN", NULL, 0)) {
        return -1;
    }
    int rc = merging_gather(k, m); // of the attempt at hand, before another is
    rc = rc ? rc : gather_kind(k, SEGMENT_STEPS, g);
    rc = rc ? rc : gather_kind(k, SEGMENT_MESSAGES, g);
    rc = rc ? rc : gather_kind(k, SEGMENT_READINGS, g);
    char error[sizeof k->c.error];
    memcpy(error, k->c.error, sizeof error);
    if (place_run(&k->c, "ROLLBACK", NULL, 0) && rc >= 0) {
        return -1;
    }
    memcpy(k->c.error, error, sizeof error);
    return rc;
}

// An attempt whose parcels are refused again and again is left alone.
static void note_refusal(struct compactor *k, const struct parcel *p) {
    k->refusals = p->refused ? k->refusals + 1 : 0;
    if (k->refusals >= REFUSALS_MAX) {
        const struct backlog b = {
            .attempt = p->attempt, .kind = p->kind, .last_step = schema_key_step(p->last_key)};
        remember(k, &b, true);
        k->grown_attempt = 0;
    }
}

int compactor_prepare(struct compactor *k, struct parcel *p) {
    struct gathering g = {0};
    struct merging *m = NULL;
    note_refusal(k, p);
    p->n_packed = p->n_gone = 0;
    p->n_rows = 0;
    p->refused = false;
    int rc = gather_all(k, &g, &m);
    if (rc == 1 && !(m ? merging_pack(k, m, p) : pack(k, &g, p))) {
        snprintf(k->c.error, sizeof k->c.error, "no memory to pack a segment");
        rc = -1;
        if (g.builder) {
            remember(k, &g.b, true);
        }
    }
    builder_destroy(g.builder);
    merging_destroy(m);
    return rc;
}

int compactor_open(struct compactor **out, const char *directory, struct buf *error) {
    struct compactor *k = NEW(struct compactor);
    struct buf path;
    buf_init(&path, 8192);
    buf_printf(&path, "%s/" STORE_FILE, directory);
    k->codec = codec_create();
    k->all_grew = true;
    int rc = connection_open(&k->c, buf_str(&path), SQLITE_OPEN_READONLY, NULL, 0, error);
    buf_free(&path);
    if (rc == 0 && connection_exec(&k->c, "PRAGMA query_only=ON; PRAGMA cache_size=-1000;")) {
        buf_puts(error, k->c.error);
        rc = -1;
    }
    if (rc) {
        compactor_close(k);
        k = NULL;
    }
    *out = k;
    return rc;
}

void compactor_close(struct compactor *k) {
    if (k) {
        connection_close(&k->c);
        codec_destroy(k->codec);
        free(k);
    }
}

const char *compactor_error(const struct compactor *k) {
    return k->c.error;
}
