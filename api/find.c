#include "api/find.h"

#include "config/limits.h"

#include <string.h>

static bool is_run_name(const char *name) {
    size_t len = strlen(name);
    return len >= 1 && len <= LIMIT_RUN_NAME &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") ==
               len;
}

bool find_run(struct request *q, struct found *out, enum MHD_Result *rc) {
    const char *name = q->part[0];
    *out = (struct found){0};
    if (!is_run_name(name)) {
        *rc = answer_problem(q, MHD_HTTP_NOT_FOUND,
                             "there is no run \"%.200s\": names are 1 to 128 characters of "
                             "A-Z a-z 0-9 . _ : -",
                             name);
        return false;
    }
    out->live = board_find(q->api->board, name);
    if (out->live) {
        out->record = &out->live->record;
        return true;
    }
    int found = reader_find_run(q->reader, name, &out->stored);
    if (found == 1) {
        out->record = &out->stored;
        return true;
    }
    *rc = found < 0 ? answer_store_problem(q)
                    : answer_problem(q, MHD_HTTP_NOT_FOUND, "there is no run \"%s\"", name);
    return false;
}

void found_release(struct found *f) {
    if (f->live) {
        snapshot_unref(f->live);
    } else {
        run_record_free(&f->stored);
    }
}

struct snapshot *find_live(struct api *a, const struct run_record *stored) {
    struct snapshot *live = board_find(a->board, stored->name);
    if (live && live->record.id != stored->id) { // forgotten and begun anew in between
        snapshot_unref(live);
        live = NULL;
    }
    return live;
}
