#include "storage/look.h"

#include "storage/schema.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_read_only(const char *path) {
    struct buf copy;
    buf_init(&copy, (size_t)1 << 16);
    buf_puts(&copy, path);
    bool is = access(dirname(copy.data), W_OK) < 0 && errno == EROFS;
    buf_free(&copy);
    return is;
}

// The size of the file beside the database, -1: there is none.
static off_t size_beside(const char *path, const char *end) {
    struct buf name;
    struct stat s;
    buf_init(&name, (size_t)1 << 16);
    buf_printf(&name, "%s%s", path, end);
    off_t size = stat(buf_str(&name), &s) == 0 ? s.st_size : -1;
    buf_free(&name);
    return size;
}

static void put_uri(struct buf *uri, const char *path) {
    buf_puts(uri, *path == '/' ? "file://" : "file:");
    for (const char *p = path; *p; p++) {
        buf_printf(uri, isalnum((unsigned char)*p) || strchr("/._-", *p) ? "%c" : "%%%02X",
                   (unsigned char)*p);
    }
    buf_puts(uri, "?immutable=1");
}

static int open_frozen(struct look *look, const char *const *sql, size_t n, struct buf *error) {
    struct stat s;
    if (size_beside(look->path, "-wal") > 0) {
        buf_printf(error,
                   "%s-wal has commits that are not in the database, and they cannot be read where "
                   "nothing can be written and %s-shm is missing; copy the database and its -wal "
                   "together to a directory that can be written, and name the copy",
                   look->path, look->path);
        return -1;
    }
    if (stat(look->path, &s) < 0) {
        buf_printf(error, "%s: %s", look->path, strerror(errno));
        return -1;
    }
    look->is_frozen = true;
    look->modified = s.st_mtim;
    struct buf uri;
    buf_init(&uri, (size_t)1 << 18);
    put_uri(&uri, look->path);
    int rc = connection_open(&look->c, buf_str(&uri), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, sql,
                             n, error);
    buf_free(&uri);
    return rc;
}

static int open_any(struct look *look, const char *const *sql, size_t n, struct buf *error) {
    if (is_read_only(look->path) &&
        (size_beside(look->path, "-wal") < 0 || size_beside(look->path, "-shm") < 0)) {
        return open_frozen(look, sql, n, error);
    }
    return connection_open(&look->c, look->path, SQLITE_OPEN_READONLY, sql, n, error);
}

int look_open(struct look *look, const char *path, const char *const *sql, size_t n,
              struct buf *error) {
    *look = (struct look){.path = realpath(path, NULL)};
    if (!look->path) {
        buf_printf(error, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (open_any(look, sql, n, error)) {
        return -1;
    }
    if (connection_keep_wal(&look->c) ||
        connection_exec(&look->c, "PRAGMA query_only=ON; PRAGMA cache_size=-8000;")) {
        buf_printf(error, "%s: %s", path, look->c.error);
        return -1;
    }
    if (schema_check(look->c.db, &look->version, error)) {
        return -1;
    }
    if (look->version == 0) {
        buf_printf(error, "%s is empty: there is no store in it", path);
        return -1;
    }
    return 0;
}

int look_check(const struct look *look, struct buf *error) {
    struct stat s;
    if (!look->is_frozen ||
        (stat(look->path, &s) == 0 && s.st_mtim.tv_sec == look->modified.tv_sec &&
         s.st_mtim.tv_nsec == look->modified.tv_nsec)) {
        return 0;
    }
    buf_printf(error,
               "%s changed while it was read: a daemon writes it through another mount; try again",
               look->path);
    return -1;
}

void look_close(struct look *look) {
    connection_close(&look->c);
    free(look->path);
}
