// Token files: small, regular, one line.
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Reads at most size bytes; one more in the file makes the result larger than LIMIT_TOKEN_BYTES.
static ssize_t read_some(int fd, char *to, size_t size) {
    size_t used = 0;
    while (used < size) {
        ssize_t n = read(fd, to + used, size - used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        used += (size_t)n;
    }
    return (ssize_t)used;
}

static size_t drop_line_end(const char *text, size_t length) {
    if (length && text[length - 1] == '\n') {
        length--;
        if (length && text[length - 1] == '\r') {
            length--;
        }
    }
    return length;
}

// What an HTTP header can carry after 'Bearer '. NULL when the token is fine.
static const char *find_problem(const char *text, size_t length) {
    if (length == 0) {
        return "is empty; expected one line with the token";
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            return "has more than one line; expected one line with the token";
        }
        if (text[i] < 0x21 || text[i] > 0x7E) {
            return "holds a space or a character that is not visible ASCII; expected one line "
                   "with the token";
        }
    }
    return NULL;
}

// Group may read: systemd hands credentials over with mode 0440, and 0640 root:GROUP is a usual way
// to share a secret with a service. Everyone else may not.
static void warn_about_mode(const char *path, mode_t mode, struct buf *messages) {
    if (mode & (S_IWGRP | S_IRWXO)) {
        buf_printf(messages,
                   "%s: mode %04o lets others at the token; expected 0600, 0400 or 0440\n", path,
                   (unsigned)(mode & 07777));
    }
}

static int keep_token(const char *path, const char *text, ssize_t size, char **token,
                      struct buf *messages) {
    if (size < 0) {
        buf_printf(messages, "%s: cannot be read: %s\n", path, strerror(errno));
        return -1;
    }
    if (size > LIMIT_TOKEN_BYTES) {
        buf_printf(messages, "%s: is too large; expected at most %d bytes\n", path,
                   LIMIT_TOKEN_BYTES);
        return -1;
    }
    size_t length = drop_line_end(text, (size_t)size);
    const char *problem = find_problem(text, length);
    if (problem) {
        buf_printf(messages, "%s: %s\n", path, problem);
        return -1;
    }
    *token = must_alloc(length + 1);
    memcpy(*token, text, length);
    return 0;
}

int config_read_token(const char *path, char **token, struct buf *messages) {
    char text[LIMIT_TOKEN_BYTES + 1];
    struct stat st;
    int result = -1;
    *token = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        buf_printf(messages, "%s: cannot be opened: %s\n", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        buf_printf(messages, "%s: is not a regular file; expected one line with the token\n", path);
    } else {
        result = keep_token(path, text, read_some(fd, text, sizeof text), token, messages);
        if (result == 0) {
            warn_about_mode(path, st.st_mode, messages);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    explicit_bzero(text, sizeof text);
    return result;
}
