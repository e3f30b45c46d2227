#define _GNU_SOURCE // strcasestr

#include "bench/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

#define SEND_BYTES ((size_t)256 * 1024)
#define IN_BYTES 65536
#define EVENTS 256
#define PATIENCE_S 300

struct conn {
    int fd;
    struct units *units;
    size_t at;   // the unit under way
    size_t sent; // bytes of it
    size_t in_len;
    char in[IN_BYTES + 1];
};

struct drive {
    const struct drive_options *o;
    struct conn *conns;
    size_t n_conns, n_open;
    int epoll;
    double started;
    double samples_sent; // for the pace
    struct drive_result *result;
    bool failed;
};

static double now_s(void) {
    return (double)clock_monotonic_ns() * 1e-9;
}

static int connect_to(const char *host, int port) {
    char service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    snprintf(service, sizeof service, "%d", port);
    int fd = -1;
    if (getaddrinfo(host, service, &hints, &found) == 0) {
        fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
        freeaddrinfo(found);
    }
    if (fd < 0) {
        fprintf(stderr, "loadgen: cannot connect to %s:%d: %s\n", host, port, strerror(errno));
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void fail(struct drive *d, const char *what, const char *detail) {
    if (!d->failed) {
        fprintf(stderr, "loadgen: %s: %.300s\n", what, detail);
    }
    d->failed = true;
}

static void watch(struct drive *d, struct conn *c, uint32_t events, int how) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    CHECK(epoll_ctl(d->epoll, how, c->fd, &e) == 0);
}

static void open_conn(struct drive *d, struct conn *c) {
    c->fd = connect_to(d->o->host, d->o->port);
    c->in_len = 0;
    if (c->fd < 0) {
        d->failed = true;
        return;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(d, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void close_conn(struct conn *c) {
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

// The unit was taken: the next one, over a connection of its own for Pyrometer's runs.
static void next_unit(struct drive *d, struct conn *c) {
    d->result->samples += c->units->list[c->at].samples;
    c->at++;
    c->sent = 0;
    c->in_len = 0;
    if (c->at == c->units->n) {
        close_conn(c);
        d->n_open--;
    } else if (d->o->http) {
        watch(d, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    } else {
        close_conn(c);
        open_conn(d, c);
    }
}

// How many bytes of the unit may go now, by the pace.
static size_t allowance(struct drive *d, const struct unit *u, size_t left) {
    size_t most = left < SEND_BYTES ? left : SEND_BYTES;
    if (d->o->samples_per_second <= 0) {
        return most;
    }
    double due = (now_s() - d->started) * d->o->samples_per_second - d->samples_sent;
    double bytes = due * (double)u->bytes.len / (double)u->samples;
    return bytes < 1 ? 0 : bytes < (double)most ? (size_t)bytes : most;
}

static void send_some(struct drive *d, struct conn *c) {
    const struct unit *u = &c->units->list[c->at];
    while (c->sent < u->bytes.len) {
        size_t n = allowance(d, u, u->bytes.len - c->sent);
        ssize_t sent = n ? send(c->fd, u->bytes.data + c->sent, n, MSG_NOSIGNAL) : 0;
        if (sent < 0 && errno != EAGAIN) {
            fail(d, "sending failed", c->in_len ? c->in : strerror(errno));
        }
        if (sent <= 0) {
            return;
        }
        c->sent += (size_t)sent;
        d->result->bytes += (size_t)sent;
        d->samples_sent += (double)sent * (double)u->samples / (double)u->bytes.len;
    }
    d->result->sent_seconds = now_s() - d->started;
    watch(d, c, EPOLLIN, EPOLL_CTL_MOD);
}

// Looks for the ack of the last step; what was read is kept as far as it may be a torn line.
static void take_acks(struct drive *d, struct conn *c) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"ack\",\"step\":%lld}\n",
             (long long)c->units->list[c->at].last_step);
    if (strstr(c->in, "\"error\"")) {
        fail(d, "the daemon refused", c->in);
    } else if (strstr(c->in, wanted)) {
        next_unit(d, c);
    } else if (c->in_len > 512) {
        memmove(c->in, c->in + c->in_len - 512, 513);
        c->in_len = 512;
    }
}

static bool response_is_whole(const char *in, size_t len) {
    const char *body = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "content-length:");
    if (!body) {
        return false;
    }
    body += 4;
    if (strncmp(in + 9, "204", 3) == 0) {
        return true;
    }
    if (length && length < body) {
        return (size_t)(in + len - body) >= strtoul(length + 15, NULL, 10);
    }
    return strstr(body - 2, "\r\n0\r\n\r\n") || strncmp(body, "0\r\n\r\n", 5) == 0; // chunked
}

static void take_response(struct drive *d, struct conn *c) {
    if (!response_is_whole(c->in, c->in_len)) {
        return;
    }
    if (strncmp(c->in, "HTTP/1.1 2", 10) != 0) {
        fail(d, "the server refused", c->in);
        return;
    }
    next_unit(d, c);
}

static void receive(struct drive *d, struct conn *c) {
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_BYTES - c->in_len, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        fail(d, "the connection ended", c->in_len ? c->in : "without an answer");
        return;
    }
    c->in_len += (size_t)n;
    c->in[c->in_len] = '\0';
    (d->o->http ? take_response : take_acks)(d, c);
}

static void run(struct drive *d) {
    struct epoll_event events[EVENTS];
    bool paced = d->o->samples_per_second > 0;
    while (d->n_open && !d->failed) {
        int n = epoll_wait(d->epoll, events, EVENTS, PATIENCE_S * 1000);
        double moved = d->samples_sent;
        if (n == 0) {
            fail(d, "nothing moved", "for five minutes");
        }
        for (int i = 0; i < n && !d->failed; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                receive(d, c);
            } else if (events[i].events & EPOLLOUT) {
                send_some(d, c);
            }
        }
        if (paced && !(d->samples_sent > moved)) {
            usleep(500);
        }
    }
}

bool drive(struct units *units, size_t connections, const struct drive_options *o,
           struct drive_result *out) {
    struct drive d = {.o = o, .result = out, .n_conns = connections};
    *out = (struct drive_result){0};
    d.epoll = epoll_create1(EPOLL_CLOEXEC);
    d.conns = calloc(connections, sizeof *d.conns);
    CHECK(d.epoll >= 0 && d.conns);
    for (size_t i = 0; i < connections && !d.failed; i++) {
        d.conns[i].units = &units[i];
        d.conns[i].fd = -1;
        d.n_open += units[i].n > 0;
    }
    d.started = out->started = now_s();
    for (size_t i = 0; i < connections && !d.failed; i++) {
        if (units[i].n) {
            open_conn(&d, &d.conns[i]);
        }
    }
    run(&d);
    out->seconds = now_s() - d.started;
    for (size_t i = 0; i < connections; i++) {
        close_conn(&d.conns[i]);
    }
    close(d.epoll);
    free(d.conns);
    return !d.failed;
}
