#include "storage/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int lock_acquire(const char *directory, bool *unclean, struct buf *error) {
    struct buf path;
    buf_init(&path, 8192);
    buf_printf(&path, "%s/lock", directory);
    int fd = open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        buf_printf(error, "%s: %s", buf_str(&path), strerror(errno));
    }
    buf_free(&path);
    if (fd < 0) {
        return -1;
    }
    char holder[32] = "";
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        buf_printf(error,
                   "%s: another pyrometerd (process %.*s) has this data directory; stop it or "
                   "name another with --data",
                   directory, (int)strcspn(holder, "\n"), holder);
        close(fd);
        return -1;
    }
    // A holder that stopped as it should leaves the file empty.
    *unclean = n > 0;
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        buf_printf(error, "%s/lock: %s", directory, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

void lock_release(int fd) {
    if (ftruncate(fd, 0) != 0) {
        // The next start takes the stop for an unclean one; nothing else depends on it.
    }
    close(fd);
}
