#include "storage/blocks.h"

bool blocks_read(void *context, size_t block, size_t offset, size_t size, void *to) {
    struct blocks *b = context;
    int64_t id = b->first + (int64_t)block;
    if (!b->blob) {
        b->open = 0;
        if (sqlite3_blob_open(b->c->db, "main", "block", "data", id, 0, &b->blob) != SQLITE_OK) {
            connection_fail(b->c);
            blocks_close(b);
            return false;
        }
    } else if (b->open != id && sqlite3_blob_reopen(b->blob, id) != SQLITE_OK) {
        connection_fail(b->c);
        blocks_close(b);
        return false;
    }
    b->open = id;
    if (offset + size > (size_t)sqlite3_blob_bytes(b->blob)) {
        return false;
    }
    if (sqlite3_blob_read(b->blob, to, (int)size, (int)offset) != SQLITE_OK) {
        connection_fail(b->c);
        return false;
    }
    return true;
}

void blocks_close(struct blocks *b) {
    sqlite3_blob_close(b->blob);
    b->blob = NULL;
    b->open = 0;
}
