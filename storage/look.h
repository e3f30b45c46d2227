// A store's file as it is opened by another process than its daemon: to be read and no more, beside
// the daemon or alone, also from a medium that is mounted read-only.
#ifndef STORAGE_LOOK_H
#define STORAGE_LOOK_H

#include "storage/statement.h"

#include <stdbool.h>
#include <time.h>

struct look {
    struct connection c;
    int version;    // of the layout
    char *path;     // without symbolic links: the WAL is beside the file itself
    bool is_frozen; // read as a file that never changes; it last did at:
    struct timespec modified;
};

// 0, or -1 with the reason: it cannot be read, is no store, or is a newer version's. To be closed
// in either case. `sql` and n as with connection_open(). Never checkpoints.
//
// Where nothing can be written SQLite cannot make its index of a WAL (pyrometer.db-shm). With an
// index that is there it reads all the same; with neither index nor WAL nobody writes the database,
// which is then read without locks. A WAL without its index is refused: without its commits the
// store would seem older than it is.
int look_open(struct look *look, const char *path, const char *const *sql, size_t n,
              struct buf *error) WARN_UNUSED;
// At the end: whether everything that was read was of one store. -1 with the reason where a daemon
// began to write, through another mount, what was read without locks.
int look_check(const struct look *look, struct buf *error) WARN_UNUSED;
void look_close(struct look *look);

#endif
