#include "storage/backup.h"

#include "storage/look.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// Between two of these, progress is told: 4 MiB.
#define PAGES_A_STEP 256

// A read transaction, held to the end: with it the copy is of one commit, and need not begin anew
// at each later one.
static int open_source(struct look *from, const char *path, struct buf *error) {
    if (look_open(from, path, NULL, 0, error)) {
        return -1;
    }
    if (connection_exec(&from->c, "BEGIN; SELECT count(*) FROM sqlite_schema")) {
        buf_printf(error, "%s: %s", path, from->c.error);
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
    struct look from;
    struct connection to = {0};
    int rc = open_source(&from, from_path, error);
    rc = rc || open_target(&to, to_path, error) ? -1 : 0;
    // The copied header asks for a WAL; without one the copy is a single file, which can be read
    // where nothing can be written. A daemon that opens it sets its own mode.
    if (rc == 0 && (copy(&from.c, &to, progress, context) ||
                    connection_exec(&to, "PRAGMA journal_mode=DELETE"))) {
        buf_printf(error, "cannot copy %s to %s: %s", from_path, to_path, to.error);
        rc = -1;
    }
    rc = rc || look_check(&from, error) ? -1 : 0;
    connection_close(&to);
    look_close(&from);
    return rc;
}
