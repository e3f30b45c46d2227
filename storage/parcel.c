#include "storage/parcel.h"

#include "storage/upkeep.h"

void parcel_init(struct parcel *p) {
    *p = (struct parcel){0};
    for (size_t i = 0; i < sizeof p->packed / sizeof *p->packed; i++) {
        packed_init(&p->packed[i]);
    }
}

void parcel_free(struct parcel *p) {
    for (size_t i = 0; i < sizeof p->packed / sizeof *p->packed; i++) {
        packed_free(&p->packed[i]);
    }
}

// 1 when it is as it was, 0 when not, -1. Ids may be given anew.
static int is_there(struct connection *c, const struct place *p) {
    const int64_t place[] = {p->id,         p->attempt,   p->kind, p->level,
                             p->first_step, p->last_step, p->n};
    int64_t found;
    return upkeep_integer(c,
                          "SELECT 1 FROM segment WHERE id=?1 AND attempt=?2 AND kind=?3 AND "
                          "level=?4 AND first_step=?5 AND last_step=?6 AND n=?7",
                          place, 7, &found);
}

static int delete_gone(struct connection *c, const struct parcel *p) {
    for (size_t i = 0; i < p->n_gone; i++) {
        int rc = is_there(c, &p->gone[i]);
        rc = rc == 1 && place_delete(c, &p->gone[i]) ? -1 : rc;
        if (rc <= 0) {
            return rc;
        }
    }
    return 1;
}

static const char *const delete_sql[SEGMENT_KINDS] = {
    [SEGMENT_STEPS] = "DELETE FROM step WHERE key BETWEEN ?1 AND ?2",
    [SEGMENT_MESSAGES] = "DELETE FROM scalars WHERE key BETWEEN ?1 AND ?2",
    [SEGMENT_READINGS] = "DELETE FROM reading WHERE key BETWEEN ?1 AND ?2",
};

// Every one of the rows that were packed, and no other.
static int delete_rows(struct connection *c, const struct parcel *p) {
    const int64_t keys[] = {p->first_key, p->last_key};
    if (p->n_rows == 0) {
        return 1;
    }
    if (place_run(c, delete_sql[p->kind], keys, 2)) {
        return -1;
    }
    return sqlite3_changes(c->db) == p->n_rows;
}

static int install(struct connection *c, const struct parcel *p) {
    int64_t found;
    int rc = upkeep_integer(c, "SELECT 1 FROM attempt WHERE id=?1", &p->attempt, 1, &found);
    rc = rc == 1 ? delete_gone(c, p) : rc;
    for (size_t i = 0; rc == 1 && i < p->n_packed; i++) {
        rc = place_insert(c, p->attempt, &p->packed[i], p->time) ? -1 : 1;
    }
    return rc == 1 ? delete_rows(c, p) : rc;
}

int parcel_install(struct connection *c, struct parcel *p) {
    if (upkeep_begin(c)) {
        return -1;
    }
    int rc = install(c, p);
    p->refused = rc == 0;
    if (rc == 0) {
        return connection_exec(c, "ROLLBACK");
    }
    return upkeep_end(c, rc);
}
