#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// A path, or '@' and a name in the abstract namespace, whose length is told instead of a NUL.
static int make_address(const char *name, struct sockaddr_un *address, socklen_t *size) {
    size_t length = strlen(name);
    if ((*name != '/' && *name != '@') || length < 2 || length >= sizeof address->sun_path) {
        return -EINVAL;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, length);
    if (*name == '@') {
        address->sun_path[0] = '\0';
    }
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
    return 0;
}

static ssize_t send_datagram(int fd, const char *state, const struct sockaddr_un *to,
                             socklen_t size) {
    ssize_t n;
    do {
        n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)to, size);
    } while (n < 0 && errno == EINTR);
    return n;
}

int notify_send(const char *state) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t size;
    if (!name || !*name) {
        return 0;
    }
    if (make_address(name, &address, &size) != 0) {
        return -EINVAL;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int result = send_datagram(fd, state, &address, size) < 0 ? -errno : 0;
    close(fd);
    return result;
}

// A whole decimal number above 0; 0 for everything else.
static uint64_t read_positive(const char *text) {
    char *end;
    if (!text || *text < '0' || *text > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return errno || *end ? 0 : value;
}

uint64_t notify_watchdog_interval_ms(void) {
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t wait_us = read_positive(getenv("WATCHDOG_USEC"));
    if (wait_us == 0 || (pid && read_positive(pid) != (uint64_t)getpid())) {
        return 0;
    }
    uint64_t half_ms = wait_us / 2000;
    return half_ms ? half_ms : 1;
}
