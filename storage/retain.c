// Retention: raw segments that are too old, or too many for the store's size, go; their tiers stay.
//
// Only what lies behind the run's checkpoint may go: a restart observes anew what follows it. A
// segment that has no tier beside it (the only one of its attempt) gets one in the transaction that
// deletes it.
#include "storage/cursor.h"
#include "storage/reader.h"
#include "storage/place.h"
#include "storage/tier.h"
#include "storage/upkeep_state.h"

#include <math.h>
#include <stdio.h>

// A slice: so many segments, or until so many bytes are deleted.
#define SLICE_SEGMENTS 16
#define SLICE_BYTES ((int64_t)4 << 20)
#define SLICE_PAGES 512
// Below this share of the size nothing goes: what comes next finds free pages in the file.
#define SIZE_ROOM 16
// Seconds by which the oldest that is kept must have moved for another look that may find nothing.
#define LOOK_S 60

// The raw segments of one attempt that may go.
struct stale {
    int64_t attempt, last_step;
    enum segment_kind kind;
    double before; // and are older than this
};

// A segment is as old as its newest step, but no older than its attempt: a recording of old steps
// is kept from the day it came. The first segment of an attempt is its oldest.
#define STALE_SQL                                                                                  \
    "SELECT a.id, CASE WHEN a.id<c.attempt THEN ?3 ELSE c.step END FROM checkpoint AS c "          \
    "CROSS JOIN attempt AS a ON a.run=c.run CROSS JOIN segment AS s ON s.id=("                     \
    "SELECT x.id FROM segment AS x WHERE x.attempt=a.id AND x.kind=?1 AND x.level=0 "              \
    "ORDER BY x.first_step, x.id LIMIT 1) "                                                        \
    "WHERE (a.id<c.attempt OR (a.id=c.attempt AND s.last_step<=c.step)) "                          \
    "AND max(s.time, a.started)<?2 ORDER BY c.run, a.id LIMIT 1"

static int find_kind(struct connection *c, enum segment_kind kind, struct stale *out) {
    sqlite3_stmt *q = place_borrow(c, STALE_SQL, NULL, 0);
    if (!q) {
        return -1;
    }
    sqlite3_bind_int(q, 1, (int)kind);
    sqlite3_bind_double(q, 2, out->before);
    sqlite3_bind_int64(q, 3, STEP_MAX);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        out->attempt = sqlite3_column_int64(q, 0);
        out->last_step = sqlite3_column_int64(q, 1);
        out->kind = kind;
    }
    int result = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : connection_fail(c);
    connection_give_back(c, q);
    return result;
}

// Of the oldest run that has some. 1, 0, -1.
static int find(struct connection *c, struct stale *out) {
    int rc = find_kind(c, SEGMENT_STEPS, out);
    return rc ? rc : find_kind(c, SEGMENT_MESSAGES, out);
}

static int read_places(struct connection *c, const struct stale *stale, struct place *out,
                       size_t *n) {
    const int64_t arguments[] = {stale->attempt, stale->kind, stale->last_step, SLICE_SEGMENTS};
    sqlite3_stmt *q = place_borrow(c,
                                   "SELECT " PLACE_COLUMNS
                                   " FROM segment WHERE attempt=?1 AND kind=?2 AND level=0 "
                                   "AND last_step<=?3 ORDER BY first_step, id LIMIT ?4",
                                   arguments, 4);
    int rc = SQLITE_ERROR;
    *n = 0;
    while (q && (rc = sqlite3_step(q)) == SQLITE_ROW && *n < SLICE_SEGMENTS) {
        place_read(q, &out[(*n)++]);
    }
    int result = q && (rc == SQLITE_DONE || rc == SQLITE_ROW) ? 0 : -1;
    if (q && result) {
        connection_fail(c);
    }
    connection_give_back(c, q);
    return result;
}

// -- the tier that stays -------------------------------------------------------------------------

static int fill(struct upkeep *u, const struct place *p, struct builder *builder) {
    struct step_cursor *cursor;
    struct step step;
    step_init(&step);
    int rc = cursor_open(&cursor, u->c, u->codec, p->kind, p->attempt, p->first_step, p->last_step);
    while (rc == 0 && (rc = step_cursor_next(cursor, &step)) == 1) {
        rc = 0;
        if (!builder_add_step(builder, &step)) {
            break; // late messages beyond what a segment holds stay where they are
        }
    }
    step_cursor_close(cursor);
    step_free(&step);
    return rc;
}

static int insert_tier(struct upkeep *u, const struct place *p, const struct builder *builder) {
    struct builder *tier = builder_create(p->kind, tier_loose(1));
    struct packed packed;
    packed_init(&packed);
    int rc = -1;
    if (tier_build(builder, TIER_FIRST, tier) && builder_pack(tier, u->codec, &packed)) {
        rc = place_insert(u->c, p->attempt, &packed, p->time);
    } else {
        snprintf(u->c->error, sizeof u->c->error, "no memory to make a tier");
    }
    packed_free(&packed);
    builder_destroy(tier);
    return rc;
}

static int make_tier(struct upkeep *u, const struct place *p) {
    struct builder *builder = builder_create(p->kind, 0);
    int rc = fill(u, p, builder);
    if (rc == 0 && builder_n(builder) > 0) { // nothing: it is damaged
        if (builder_complete(builder)) {
            rc = insert_tier(u, p, builder);
        } else {
            snprintf(u->c->error, sizeof u->c->error, "no memory to make a tier");
            rc = -1;
        }
    }
    builder_destroy(builder);
    return rc;
}

static int keep_tier(struct upkeep *u, const struct place *p) {
    const int64_t place[] = {p->attempt, p->kind, p->first_step, p->last_step};
    int64_t found;
    for (unsigned tier = 1; tier <= TIER_COUNT; tier++) {
        for (unsigned level = tier_loose(tier); level <= tier_merged(tier); level++) {
            const int64_t arguments[] = {place[0], place[1], level, place[2], place[3]};
            int rc = upkeep_integer(u->c,
                                    "SELECT id FROM segment WHERE attempt=?1 AND kind=?2 AND "
                                    "level=?3 AND first_step<=?4 AND last_step>=?5 LIMIT 1",
                                    arguments, 5, &found);
            if (rc) {
                return rc < 0 ? -1 : 0;
            }
        }
    }
    return make_tier(u, p);
}

// -- slices --------------------------------------------------------------------------------------

static int remove_places(struct upkeep *u, const struct stale *stale, const struct place *places,
                         size_t n) {
    int64_t bytes = 0;
    for (size_t i = 0; i < n && bytes < SLICE_BYTES; i++) {
        if (i > 0 && places[i].time >= stale->before) {
            break; // the first was found to be old enough
        }
        if (keep_tier(u, &places[i]) || place_delete(u->c, &places[i])) {
            return -1;
        }
        bytes += places[i].bytes;
    }
    return 1;
}

// 1 when something went, 0 when nothing may, -1.
static int remove_before(struct upkeep *u, double before) {
    struct place places[SLICE_SEGMENTS];
    struct stale stale = {.before = before};
    size_t n;
    int rc = find(u->c, &stale);
    if (rc <= 0) {
        return rc;
    }
    if (upkeep_begin(u->c)) {
        return -1;
    }
    rc = read_places(u->c, &stale, places, &n);
    return upkeep_end(u->c, rc ? -1 : remove_places(u, &stale, places, n));
}

static int by_age(struct upkeep *u, double oldest) {
    if (fabs(oldest - u->aged_to) < LOOK_S) {
        return 0;
    }
    int rc = remove_before(u, oldest);
    if (rc == 0) {
        u->aged_to = oldest;
    }
    return rc;
}

static int by_size(struct upkeep *u, int64_t max_bytes) {
    int64_t page, pages, unused;
    if (upkeep_integer(u->c, "PRAGMA page_size", NULL, 0, &page) < 0 ||
        upkeep_integer(u->c, "PRAGMA page_count", NULL, 0, &pages) < 0 ||
        upkeep_integer(u->c, "PRAGMA freelist_count", NULL, 0, &unused) < 0) {
        return -1;
    }
    if ((pages - unused) * page > max_bytes - max_bytes / SIZE_ROOM) {
        int rc = remove_before(u, (double)INFINITY);
        if (rc) {
            return rc;
        }
    }
    int64_t excess = pages - max_bytes / page;
    excess = excess < SLICE_PAGES ? excess : SLICE_PAGES;
    return excess > 0 && unused > 0 ? upkeep_give_back(u, excess) : 0;
}

int upkeep_retain(struct upkeep *u, double oldest, int64_t max_bytes) {
    int rc = oldest > 0 ? by_age(u, oldest) : 0;
    return rc == 0 && max_bytes > 0 ? by_size(u, max_bytes) : rc;
}
