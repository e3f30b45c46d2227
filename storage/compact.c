// Compaction: the oldest journal rows of an attempt become a segment, in one transaction, so that
// at every moment each step is in exactly one place.
//
// A segment is packed when the journal has enough of an attempt for a full one, or, of an attempt
// that is over (its run ended or fell silent, or a later attempt began), whatever there is. A last
// segment that is small is packed anew together with what follows it.
#include "storage/cursor.h"
#include "storage/place.h"
#include "storage/reader.h"
#include "storage/record.h"
#include "storage/schema.h"
#include "storage/tier.h"
#include "storage/upkeep_state.h"

#include <string.h>

// Journal bytes that make a full segment: the work of one transaction.
#define FULL_BYTES ((int64_t)2 << 20)
#define FULL_STEPS 4096
// Full segments make whole buckets of the first tier.
#define STEPS_ROUND TIER_FIRST
// When the journals of many attempts together pass this, each is packed at its share of it.
#define JOURNAL_BYTES ((int64_t)64 << 20)
#define SHARE_BYTES_MIN ((int64_t)128 << 10)
// A last segment of less than this share of a full one is packed anew.
#define SMALL_SHARE 4

// What the journal has of one attempt.
struct backlog {
    int64_t attempt;
    enum segment_kind kind;
    int64_t first_step, last_step; // of the rows to be packed
    int64_t row_bytes;             // of the first
    int64_t full;                  // rows of a full segment
    bool is_over;
};

static const char *const first_sql[] = {
    [SEGMENT_STEPS] = "SELECT key FROM step WHERE key>=?1 ORDER BY key LIMIT 1",
    [SEGMENT_MESSAGES] = "SELECT key FROM scalars WHERE key>=?1 ORDER BY key LIMIT 1",
};
static const char *const last_sql[] = {
    [SEGMENT_STEPS] = "SELECT key FROM step WHERE key<?1 ORDER BY key DESC LIMIT 1",
    [SEGMENT_MESSAGES] = "SELECT key FROM scalars WHERE key<?1 ORDER BY key DESC LIMIT 1",
};
static const char *const bytes_sql[] = {
    [SEGMENT_STEPS] = "SELECT length(columns) FROM step WHERE key>=?1 ORDER BY key LIMIT 1",
    [SEGMENT_MESSAGES] = "SELECT length(columns) FROM scalars WHERE key>=?1 ORDER BY key LIMIT 1",
};
static const char *const delete_sql[] = {
    [SEGMENT_STEPS] = "DELETE FROM step WHERE key BETWEEN ?1 AND ?2",
    [SEGMENT_MESSAGES] = "DELETE FROM scalars WHERE key BETWEEN ?1 AND ?2",
};

static struct upkeep_hint *hint_of(struct upkeep *u, int64_t attempt, enum segment_kind kind) {
    return &u->hints[((uint64_t)attempt * 2 + kind) % UPKEEP_HINTS];
}

static void remember(struct upkeep *u, const struct backlog *b, bool is_broken) {
    *hint_of(u, b->attempt, b->kind) = (struct upkeep_hint){
        .attempt = b->attempt, .kind = b->kind, .last_step = b->last_step, .is_broken = is_broken};
}

// True when it was looked at before and has not become twice as long.
static bool is_known(struct upkeep *u, const struct backlog *b) {
    const struct upkeep_hint *h = hint_of(u, b->attempt, b->kind);
    return h->attempt == b->attempt && h->kind == b->kind &&
           (h->is_broken || b->last_step - b->first_step < 2 * (h->last_step - b->first_step));
}

// 1 when the attempt is over, 0 when not, -1.
static int is_over(struct connection *c, int64_t attempt) {
    int64_t status;
    int rc = upkeep_integer(c,
                            "SELECT r.status FROM attempt AS a JOIN run AS r ON r.id=a.run "
                            "WHERE a.id=?1 AND NOT EXISTS (SELECT 1 FROM attempt AS later "
                            "WHERE later.run=a.run AND later.id>a.id)",
                            &attempt, 1, &status);
    return rc < 0 ? -1 : rc == 0 || status != RUN_RUNNING;
}

// What is behind the attempt's last segment. 1, 0 when there is nothing, -1.
static int look(struct upkeep *u, int64_t attempt, enum segment_kind kind, struct backlog *b) {
    struct place last;
    int found = place_last(u->c, attempt, kind, 0, &last);
    *b = (struct backlog){.attempt = attempt, .kind = kind};
    int64_t from = schema_key(attempt, found == 1 ? last.last_step + 1 : 0), first, end;
    const int64_t behind = schema_key(attempt + 1, 0);
    if (found < 0 || upkeep_integer(u->c, first_sql[kind], &from, 1, &first) < 0 ||
        upkeep_integer(u->c, last_sql[kind], &behind, 1, &end) < 0 ||
        upkeep_integer(u->c, bytes_sql[kind], &from, 1, &b->row_bytes) < 0) {
        return -1;
    }
    if (first < from || end < from) {
        return 0;
    }
    int over = is_over(u->c, attempt);
    b->is_over = over == 1;
    b->first_step = schema_key_step(first);
    b->last_step = schema_key_step(end);
    return over < 0 ? -1 : 1;
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
static int find_small(struct upkeep *u, const struct backlog *b, struct place *last) {
    int found = place_last(u->c, b->attempt, b->kind, 0, last);
    return found == 1 && last->n * SMALL_SHARE < b->full && last->last_step < b->first_step ? 1
           : found < 0                                                                      ? -1
                                                                                            : 0;
}

// Fills the builder from `from` on. 1 when the attempt has more than fits, 0 when not, -1.
static int gather(struct upkeep *u, const struct backlog *b, int64_t from, struct builder *builder,
                  double *time, bool *damaged) {
    struct step_cursor *cursor;
    struct step step;
    step_init(&step);
    int rc = cursor_open(&cursor, u->c, u->codec, b->kind, b->attempt, from, b->last_step);
    bool fits = true;
    while (rc == 0 && fits && (int64_t)builder_n(builder) < b->full) {
        rc = step_cursor_next(cursor, &step);
        if (rc == 1) {
            fits = builder_add_step(builder, &step);
            *time = fits ? step.time : *time;
            rc = 0;
        } else if (rc == 0) {
            break;
        }
    }
    bool more = !fits || (int64_t)builder_n(builder) >= b->full;
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

int upkeep_insert_tier(struct upkeep *u, int64_t attempt, enum segment_kind kind,
                       const struct builder *builder, double time) {
    struct builder *tier = builder_create(kind, tier_loose(1));
    bool good = tier_build(builder, TIER_FIRST, tier) && builder_pack(tier, u->codec, &u->packed);
    builder_destroy(tier);
    u->grown_attempt = attempt;
    if (!good) {
        snprintf(u->c->error, sizeof u->c->error, "no memory to make a tier");
        return -1;
    }
    return place_insert(u->c, attempt, &u->packed, time);
}

// The tier beside a segment: of attempts that have more than one.
static int insert_tier(struct upkeep *u, const struct backlog *b, struct builder *builder,
                       bool more, double time) {
    const int64_t before[] = {b->attempt, b->kind, builder_first(builder, 0)};
    int64_t found = 0;
    if (builder_n(builder) < TIER_STEPS_MIN) {
        return 0;
    }
    if (!more && upkeep_integer(u->c,
                                "SELECT id FROM segment WHERE attempt=?1 AND kind=?2 AND level=0 "
                                "AND first_step<?3 LIMIT 1",
                                before, 3, &found) < 0) {
        return -1;
    }
    if (!more && !found) {
        return 0;
    }
    return upkeep_insert_tier(u, b->attempt, b->kind, builder, time);
}

// A small segment that is replaced goes with its piece of the tier, which was not merged: it was
// the last.
static int delete_small(struct upkeep *u, const struct place *small) {
    struct place tier;
    int found = place_last(u->c, small->attempt, small->kind, tier_loose(1), &tier);
    if (found == 1 && tier.first_step == small->first_step && place_delete(u->c, &tier)) {
        return -1;
    }
    return found < 0 ? -1 : place_delete(u->c, small);
}

// Puts the packed segment in the place of what it was made of.
static int replace(struct upkeep *u, const struct backlog *b, const struct place *small,
                   struct builder *builder, bool more, double time) {
    const int64_t rows[] = {schema_key(b->attempt, small ? small->first_step : b->first_step),
                            schema_key(b->attempt, u->packed.last_step)};
    if (upkeep_begin(u->c)) {
        return -1;
    }
    int rc = small ? delete_small(u, small) : 0;
    rc = rc || place_insert(u->c, b->attempt, &u->packed, time) ||
                 place_run(u->c, delete_sql[b->kind], rows, 2) ||
                 insert_tier(u, b, builder, more, time)
             ? -1
             : 1;
    return upkeep_end(u->c, rc);
}

// Whether the builder holds something of the journal.
static bool reaches_journal(const struct builder *builder, const struct backlog *b) {
    size_t n = builder_n(builder);
    return n > 0 && builder_step(builder, n - 1) >= b->first_step;
}

// Packs what was gathered. 1 when a segment was made, 0 when there is too little for one, -1.
static int finish(struct upkeep *u, const struct backlog *b, const struct place *small,
                  struct builder *builder, bool more, double time) {
    if (!more && !b->is_over) {
        return 0;
    }
    trim(builder, b, more);
    if (!reaches_journal(builder, b)) {
        return 0;
    }
    if (!builder_pack(builder, u->codec, &u->packed)) {
        snprintf(u->c->error, sizeof u->c->error, "no memory to pack a segment");
        return -1;
    }
    return replace(u, b, small, builder, more, time);
}

// 1 when a segment was made, 0 when there is too little for one, -1.
static int pack(struct upkeep *u, const struct backlog *b, bool with_small) {
    struct place small;
    int found = with_small ? find_small(u, b, &small) : 0;
    if (found < 0) {
        return -1;
    }
    struct builder *builder = builder_create(b->kind, 0);
    double time = 0;
    bool damaged = false;
    int rc = gather(u, b, found ? small.first_step : b->first_step, builder, &time, &damaged);
    bool alone = rc >= 0 && found && (damaged || !reaches_journal(builder, b));
    if (rc >= 0 && !alone) {
        rc = finish(u, b, found ? &small : NULL, builder, rc == 1, time);
    }
    builder_destroy(builder);
    // The small one is damaged, or what follows does not fit to it.
    return alone ? pack(u, b, false) : rc;
}

// Attempts that have a journal of that kind, up to a few more than matter. -1.
static int64_t count_attempts(struct upkeep *u, enum segment_kind kind) {
    int64_t n = 0, key = 0, first;
    int rc;
    while (n < JOURNAL_BYTES / SHARE_BYTES_MIN &&
           (rc = upkeep_integer(u->c, first_sql[kind], &key, 1, &first)) == 1) {
        key = schema_key((first >> SCHEMA_STEP_BITS) + 1, 0);
        n++;
    }
    return rc < 0 ? -1 : n;
}

static bool is_due(struct upkeep *u, struct backlog *b) {
    return !is_known(u, b) && (b->is_over || b->last_step - b->first_step + 1 >= b->full);
}

static int try_attempt(struct upkeep *u, int64_t attempt, enum segment_kind kind,
                       int64_t n_attempts) {
    struct backlog b;
    int rc = look(u, attempt, kind, &b);
    if (rc <= 0) {
        return rc;
    }
    b.full = full_rows(b.row_bytes, n_attempts);
    if (!is_due(u, &b)) {
        return 0;
    }
    rc = pack(u, &b, true);
    if (rc <= 0) {
        remember(u, &b, rc < 0 && sqlite3_errcode(u->c->db) == SQLITE_OK);
    }
    return rc;
}

static int compact_kind(struct upkeep *u, enum segment_kind kind) {
    int64_t n_attempts = count_attempts(u, kind), first, start = u->next_attempt[kind];
    for (int64_t looked = 0; n_attempts > 0 && looked <= n_attempts; looked++) {
        const int64_t from = schema_key(u->next_attempt[kind], 0);
        int found = upkeep_integer(u->c, first_sql[kind], &from, 1, &first);
        if (found < 0) {
            return -1;
        }
        if (found == 0) {
            u->next_attempt[kind] = 0; // round again
            if (start == 0) {
                return 0;
            }
            start = 0;
            continue;
        }
        int64_t attempt = first >> SCHEMA_STEP_BITS;
        int rc = try_attempt(u, attempt, kind, n_attempts);
        if (rc) {
            return rc; // the same attempt again next time: it may have more
        }
        u->next_attempt[kind] = attempt + 1;
    }
    return n_attempts < 0 ? -1 : 0;
}

int upkeep_compact(struct upkeep *u) {
    int rc = compact_kind(u, SEGMENT_STEPS);
    return rc ? rc : compact_kind(u, SEGMENT_MESSAGES);
}
