#define _GNU_SOURCE // ppoll

#include "cli/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/tls.h"

enum { HOST_MAX = 256, READ_SIZE = 1 << 16, ANSWER_MAX = 1 << 20, CONNECT_TIMEOUT_MS = 5000 };

struct link {
    int fd;
    struct tls *tls; // NULL: plain
    struct buf out;
    size_t sent; // bytes of `out` that are gone
    struct buf in;
    link_line take;
    void *context;
    bool closed;
    char error[128];
};

static int open_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

// Connects with a limit on the wait: a host that swallows packets would hold us for minutes.
static bool connect_in_time(int fd, const struct addrinfo *to) {
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0) {
        return true;
    }
    if (errno != EINPROGRESS) {
        return false;
    }
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (poll(&waiting, 1, CONNECT_TIMEOUT_MS) > 0) {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    errno = error;
    return error == 0;
}

static int open_one(const struct addrinfo *to) {
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    if (!connect_in_time(fd, to)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

// "HOST:PORT" or "[V6]:PORT" into its host and a pointer to its port; NULL when it is neither.
static const char *split_address(const char *address, char *host, size_t host_size) {
    const char *colon = strrchr(address, ':');
    if (!colon || !colon[1]) {
        return NULL;
    }
    size_t n = (size_t)(colon - address);
    if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    if (n == 0 || n >= host_size) {
        return NULL;
    }
    snprintf(host, host_size, "%.*s", (int)n, address);
    return colon + 1;
}

static int open_tcp(const char *address, char host[HOST_MAX], char *reason, size_t reason_size) {
    const char *port = split_address(address, host, HOST_MAX);
    if (!port) {
        snprintf(reason, reason_size,
                 "an address is HOST:PORT, " TLS_SCHEME "HOST:PORT or unix:PATH");
        return -1;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int code = getaddrinfo(host, port, &hints, &list);
    if (code != 0) {
        snprintf(reason, reason_size, "%s", gai_strerror(code));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *to = list; to && fd < 0; to = to->ai_next) {
        fd = open_one(to);
    }
    if (fd < 0) {
        snprintf(reason, reason_size, "%s", strerror(errno));
    }
    freeaddrinfo(list);
    return fd;
}

struct link *link_open(const char *address, link_line take, void *context, char *reason,
                       size_t reason_size) {
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    bool is_tls = strncmp(address, TLS_SCHEME, strlen(TLS_SCHEME)) == 0;
    char host[HOST_MAX];
    address += is_tls ? strlen(TLS_SCHEME) : 0;
    int fd = is_unix ? open_unix(address + 5) : open_tcp(address, host, reason, reason_size);
    if (fd < 0) {
        if (is_unix) {
            snprintf(reason, reason_size, "%s", strerror(errno));
        }
        return NULL;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct tls *tls = is_tls ? tls_open(fd, host, reason, reason_size) : NULL;
    if (is_tls && !tls) {
        close(fd);
        return NULL;
    }
    struct link *link = NEW(struct link);
    *link = (struct link){.fd = fd, .tls = tls, .take = take, .context = context};
    buf_init(&link->out, SIZE_MAX / 4);
    buf_init(&link->in, ANSWER_MAX);
    return link;
}

void link_close(struct link *link) {
    if (link) {
        tls_close(link->tls);
        close(link->fd);
        buf_free(&link->out);
        buf_free(&link->in);
        free(link);
    }
}

void link_queue(struct link *link, const char *bytes, size_t n) {
    if (link->sent > link->out.len / 2) {
        buf_drop(&link->out, link->sent);
        link->sent = 0;
    }
    buf_put(&link->out, bytes, n);
    CHECK(!link->out.failed);
}

size_t link_pending(const struct link *link) {
    return link->out.len - link->sent;
}

const char *link_error(const struct link *link) {
    return link->error;
}

void link_finish_sending(struct link *link) {
    if (link->tls) {
        tls_end(link->tls);
    } else {
        shutdown(link->fd, SHUT_WR);
    }
}

static bool is_transient(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

// A failed send is not yet the end: why the daemon hung up may still be there to read.
static void send_some(struct link *link) {
    const char *bytes = link->out.data + link->sent;
    ssize_t n = link->tls ? tls_send(link->tls, bytes, link_pending(link))
                          : send(link->fd, bytes, link_pending(link), MSG_NOSIGNAL);
    if (n > 0) {
        link->sent += (size_t)n;
    } else if (n < 0 && !is_transient(errno)) {
        snprintf(link->error, sizeof link->error, "%s", strerror(errno));
        link->sent = link->out.len;
    }
}

static void take_lines(struct link *link) {
    size_t from = 0;
    char *newline;
    while ((newline = memchr(link->in.data + from, '\n', link->in.len - from))) {
        *newline = '\0';
        link->take(link->context, link->in.data + from);
        from = (size_t)(newline - link->in.data) + 1;
    }
    buf_drop(&link->in, from);
}

static void receive_some(struct link *link) {
    char *to = buf_reserve(&link->in, READ_SIZE);
    if (!to) {
        snprintf(link->error, sizeof link->error, "the daemon sent a line of more than %d bytes",
                 ANSWER_MAX);
        link->closed = true;
        return;
    }
    ssize_t n =
        link->tls ? tls_receive(link->tls, to, READ_SIZE) : recv(link->fd, to, READ_SIZE, 0);
    if (n > 0) {
        link->in.len += (size_t)n;
        take_lines(link);
    } else if (n == 0) {
        link->closed = true;
    } else if (!is_transient(errno)) {
        snprintf(link->error, sizeof link->error, "%s", strerror(errno));
        link->closed = true;
    }
}

static struct pollfd what_to_wait_for(const struct link *link) {
    if (!link || link->closed) {
        return (struct pollfd){.fd = -1};
    }
    short wanted = (short)(POLLIN | (link_pending(link) ? POLLOUT : 0));
    return (struct pollfd){.fd = link->fd, .events = wanted};
}

static void deal_with(struct link *link, short happened) {
    if (happened & (POLLIN | POLLHUP | POLLERR)) {
        receive_some(link);
    }
    if (!link->closed && (happened & POLLOUT)) {
        send_some(link);
    }
}

bool link_is_open(const struct link *link) {
    return !link->closed;
}

bool link_pump(struct link *link, int timeout_ms) {
    struct pollfd waiting = what_to_wait_for(link);
    if (!link->closed && poll(&waiting, 1, timeout_ms) > 0) {
        deal_with(link, waiting.revents);
    }
    return !link->closed;
}

void link_pump_all(struct link *const *links, size_t n, uint64_t timeout_ns) {
    struct pollfd *waiting = must_alloc(n * sizeof *waiting);
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    for (size_t i = 0; i < n; i++) {
        waiting[i] = what_to_wait_for(links[i]);
    }
    if (ppoll(waiting, n, &timeout, NULL) > 0) {
        for (size_t i = 0; i < n; i++) {
            if (waiting[i].revents) {
                deal_with(links[i], waiting[i].revents);
            }
        }
    }
    free(waiting);
}
