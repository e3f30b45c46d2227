#include "storage/backup.h"

#include "storage/schema.h"
#include "storage/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// Between two of these, progress is told: 4 MiB.
#define PAGES_A_STEP 256

// A read transaction, held to the end: with it the copy is of one commit, and need not begin anew
// at each later one.
static int open_source(struct connection *from, const char *path, struct buf *error) {
    if (connection_open(from, path, SQLITE_OPEN_READONLY, NULL, 0, error)) {
        return -1;
    }
    int version;
    if (connection_keep_wal(from) || connection_exec(from, "PRAGMA query_only=ON; BEGIN")) {
        buf_printf(error, "%s: %s", path, from->error);
        return -1;
    }
    if (schema_check(from->db, &version, error)) { // reads, which begins the transaction
        return -1;
    }
    if (version == 0) {
        buf_printf(error, "%s is empty: there is no store in it", path);
        return -1;
    }
    return 0;
}

static int open_target(struct connection *to, const char *path, struct buf *error) {
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0 || close(file)) {
        buf_printf(error, "cannot create %s: %s", path, strerror(errno));
        return -1;
    }
    return connection_open(to, path, SQLITE_OPEN_READWRITE, NULL, 0, error);
}

static int copy(struct connection *from, struct connection *to,
                void (*progress)(void *context, int64_t done, int64_t total), void *context) {
    sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!b) {
        return connection_fail(to);
    }
    int rc;
    do {
        rc = sqlite3_backup_step(b, PAGES_A_STEP);
        if (progress) {
            int64_t total = sqlite3_backup_pagecount(b);
            progress(context, total - sqlite3_backup_remaining(b), total);
        }
    } while (rc == SQLITE_OK);
    sqlite3_backup_finish(b); // leaves the reason in the target's connection
    return rc == SQLITE_DONE ? 0 : connection_fail(to);
}

int backup_store(const char *from_path, const char *to_path,
                 void (*progress)(void *context, int64_t done, int64_t total), void *context,
                 struct buf *error) {
    struct connection from = {0}, to = {0};
    int rc = open_source(&from, from_path, error);
    rc = rc || open_target(&to, to_path, error) ? -1 : 0;
    // The copied header asks for a WAL; without one the copy is a single file, which can be read
    // where nothing can be written. A daemon that opens it sets its own mode.
    if (rc == 0 && (copy(&from, &to, progress, context) ||
                    connection_exec(&to, "PRAGMA journal_mode=DELETE"))) {
        buf_printf(error, "cannot copy %s to %s: %s", from_path, to_path, to.error);
        rc = -1;
    }
    connection_close(&to);
    connection_close(&from);
    return rc;
}
