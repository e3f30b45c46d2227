#include "clients/c/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clients/c/clock.h"

enum { CONNECT_TIMEOUT_MS = 5000, KEEPALIVE_IDLE_S = 15, KEEPALIVE_INTERVAL_S = 5 };

static const char default_port[] = "27315";

static bool copy(char *out, size_t size, const char *text, size_t n) {
    if (n == 0 || n >= size) {
        return false;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

static bool copy_port(struct pyr_address *a, const char *text) {
    size_t n = strspn(text, "0123456789");
    return text[n] == '\0' && copy(a->port, sizeof a->port, text, n);
}

bool pyr_address_parse(struct pyr_address *a, const char *text) {
    *a = (struct pyr_address){0};
    if (strncmp(text, "unix:", 5) == 0) {
        a->local = true;
        return copy(a->path, sizeof a->path, text + 5, strlen(text + 5));
    }
    const char *host = text, *host_end, *rest;
    if (text[0] == '[') {
        host++;
        host_end = strchr(host, ']');
        rest = host_end ? host_end + 1 : NULL;
    } else {
        host_end = rest = text + strcspn(text, ":");
    }
    if (!host_end || !copy(a->host, sizeof a->host, host, (size_t)(host_end - host))) {
        return false;
    }
    if (*rest == '\0') {
        return copy_port(a, default_port);
    }
    return *rest == ':' && copy_port(a, rest + 1);
}

// Waits for a started connect to end. Returns 0 or a negative errno value.
static int await_connect(int fd, int wake_fd, pyr_go_on *go_on, void *context) {
    int64_t deadline = pyr_clock_ms() + CONNECT_TIMEOUT_MS;
    for (;;) {
        struct pollfd polled[2] = {{.fd = fd, .events = POLLOUT},
                                   {.fd = wake_fd, .events = POLLIN}};
        int n = poll(polled, 2, pyr_clock_left_ms(deadline));
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0 && polled[1].revents && !go_on(context)) {
            return -ECANCELED;
        }
        wake_fd = n > 0 && (polled[1].revents & POLLNVAL) ? -1 : wake_fd;
        if (n > 0 && polled[0].revents) {
            int error = 0;
            socklen_t size = sizeof error;
            return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
        }
        if (pyr_clock_left_ms(deadline) == 0) {
            return -ETIMEDOUT;
        }
    }
}

static void set_option(int fd, int level, int name, int value) {
    // What an option would improve works without it too.
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static int connect_one(const struct sockaddr *to, socklen_t size, int wake_fd, pyr_go_on *go_on,
                       void *context) {
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (to->sa_family != AF_UNIX) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    }
    int rc = connect(fd, to, size) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS || rc == -EINTR) {
        rc = await_connect(fd, wake_fd, go_on, context);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int pyr_address_connect(const struct pyr_address *a, int wake_fd, pyr_go_on *go_on, void *context,
                        const char **why) {
    *why = NULL;
    if (a->local) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        memcpy(to.sun_path, a->path, sizeof to.sun_path);
        return connect_one((const struct sockaddr *)&to, sizeof to, wake_fd, go_on, context);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(a->host, a->port, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -EHOSTUNREACH;
    }
    rc = -EHOSTUNREACH;
    for (const struct addrinfo *i = found; i && rc < 0 && rc != -ECANCELED; i = i->ai_next) {
        rc = connect_one(i->ai_addr, i->ai_addrlen, wake_fd, go_on, context);
    }
    freeaddrinfo(found);
    return rc;
}
