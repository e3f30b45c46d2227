#include "api/relay.h"

#include "wire/json.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define REPLY_BYTES_MAX 65536 // one reply of a session
#define ERROR_BYTES_MAX ((size_t)1 << 20)

enum upload_state { RUNNING, WAITS_FOR_ROOM, WAITS_FOR_END }; // the latter two: suspended

struct upload {
    struct upload *next, **previous;
    struct MHD_Connection *connection;
    int fd;
    enum upload_state state;
    bool deaf;        // the session takes nothing any more
    bool shut;        // it was told that nothing more comes
    bool ended;       // its last reply was read
    char last;        // byte that was sent
    struct buf reply; // the beginning of one
    struct upload_outcome outcome;
};

// The lock guards everything but the outcome of an upload that has ended.
struct relay {
    pthread_mutex_t lock;
    pthread_t thread;
    int bell; // an eventfd
    struct upload *first;
    size_t n;
    bool stopping;
};

static bool member_is(const char *line, size_t len, const char *key, const char *value) {
    struct slice s;
    return json_member(line, len, key, &s) && s.len == strlen(value) &&
           memcmp(s.text, value, s.len) == 0;
}

static int64_t step_of(const char *line, size_t len, const char *key) {
    struct slice s;
    return json_member(line, len, key, &s) ? strtoll(s.text, NULL, 10) : -1;
}

static void copy_slice(char *to, size_t size, struct slice s) {
    size_t n = s.len < size - 1 ? s.len : size - 1;
    memcpy(to, s.text, n);
    to[n] = '\0';
}

static void take_error(struct upload_outcome *o, const char *line, size_t len) {
    struct slice code, message;
    if (o->n_errors++ < RELAY_ERRORS_SHOWN) {
        buf_puts(&o->errors, o->errors.len ? "," : "");
        buf_put(&o->errors, line, len);
    }
    if (member_is(line, len, "fatal", "true") && json_member(line, len, "code", &code) &&
        json_member(line, len, "message", &message) && code.len > 2) {
        copy_slice(o->fatal_code, sizeof o->fatal_code,
                   (struct slice){code.text + 1, code.len - 2});
        free(o->fatal);
        o->fatal = must_copy_n(message.text, message.len);
    }
}

static void take_reply(struct upload_outcome *o, const char *line, size_t len) {
    struct slice run;
    if (member_is(line, len, "type", "\"ack\"")) {
        o->acked = step_of(line, len, "step");
    } else if (member_is(line, len, "type", "\"error\"")) {
        take_error(o, line, len);
    } else if (member_is(line, len, "type", "\"welcome\"") && json_member(line, len, "run", &run)) {
        copy_slice(o->run, sizeof o->run, run);
        o->last_step = step_of(line, len, "last_step");
    }
}

static void take_replies(struct upload *u, const char *bytes, size_t n) {
    const char *newline;
    while (n && (newline = memchr(bytes, '\n', n))) {
        buf_put(&u->reply, bytes, (size_t)(newline - bytes));
        if (!u->reply.failed && u->reply.len) {
            take_reply(&u->outcome, u->reply.data, u->reply.len);
        }
        buf_clear(&u->reply);
        n -= (size_t)(newline + 1 - bytes);
        bytes = newline + 1;
    }
    buf_put(&u->reply, bytes, n);
}

static void resume(struct upload *u) {
    if (u->state != RUNNING) {
        u->state = RUNNING;
        MHD_resume_connection(u->connection);
    }
}

static void read_replies(struct upload *u) {
    char bytes[READ_BYTES]; // not thread-local: every thread would have it
    ssize_t n;
    while ((n = recv(u->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        take_replies(u, bytes, (size_t)n);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        u->ended = u->deaf = true;
        resume(u);
    }
}

static void ring(struct relay *r) {
    uint64_t one = 1;
    CHECK(write(r->bell, &one, sizeof one) == sizeof one);
}

// One place for the bell, one for each upload; the lock is held.
static struct pollfd *list(struct relay *r, size_t *n) {
    struct pollfd *fds = must_alloc((r->n + 1) * sizeof *fds);
    fds[0] = (struct pollfd){.fd = r->bell, .events = POLLIN};
    *n = 1;
    for (struct upload *u = r->first; u; u = u->next) {
        short events = u->state == WAITS_FOR_ROOM ? POLLIN | POLLOUT : POLLIN;
        fds[(*n)++] = (struct pollfd){.fd = u->ended ? -1 : u->fd, .events = events};
    }
    return fds;
}

// Uploads may have come and gone since the list was made: they are asked by their descriptor,
// without waiting.
static void serve(struct relay *r, const struct pollfd *fds, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct upload *u = r->first;
        while (u && u->fd != fds[i].fd) {
            u = u->next;
        }
        if (u && fds[i].revents && !u->ended) {
            read_replies(u);
        }
        if (u && (fds[i].revents & POLLOUT) && u->state == WAITS_FOR_ROOM) {
            resume(u);
        }
    }
}

static void *run(void *argument) {
    struct relay *r = argument;
    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        size_t n;
        struct pollfd *fds = list(r, &n);
        pthread_mutex_unlock(&r->lock);
        int ready = poll(fds, n, -1);
        uint64_t rings;
        if (ready > 0 && fds[0].revents) {
            CHECK(read(r->bell, &rings, sizeof rings) == sizeof rings);
        }
        pthread_mutex_lock(&r->lock);
        if (ready > 0) {
            serve(r, fds, n);
        }
        free(fds);
    }
    for (struct upload *u = r->first; u; u = u->next) {
        if (!u->ended) {
            read_replies(u); // what was said until now
        }
        u->ended = u->deaf = true;
        resume(u);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct relay *relay_start(struct buf *error) {
    struct relay *r = NEW(struct relay);
    r->bell = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&r->lock, NULL);
    if (r->bell < 0 || pthread_create(&r->thread, NULL, run, r)) {
        buf_puts(error, "cannot start a thread for uploads");
        if (r->bell >= 0) {
            close(r->bell);
        }
        free(r);
        return NULL;
    }
    return r;
}

void relay_stop(struct relay *r) {
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    ring(r);
    pthread_join(r->thread, NULL);
}

void relay_destroy(struct relay *r) {
    if (r) {
        CHECK(r->first == NULL);
        close(r->bell);
        pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

struct upload *relay_open(struct relay *r, int fd, struct MHD_Connection *connection) {
    struct upload *u = NEW(struct upload);
    u->connection = connection;
    u->fd = fd;
    u->last = '\n';
    u->outcome.last_step = u->outcome.acked = -1;
    buf_init(&u->reply, REPLY_BYTES_MAX);
    buf_init(&u->outcome.errors, ERROR_BYTES_MAX);
    pthread_mutex_lock(&r->lock);
    bool stopping = r->stopping;
    u->next = r->first;
    u->previous = &r->first;
    if (u->next) {
        u->next->previous = &u->next;
    }
    r->first = u;
    r->n++;
    pthread_mutex_unlock(&r->lock);
    if (stopping) {
        relay_close(r, u);
        return NULL;
    }
    ring(r);
    return u;
}

void relay_close(struct relay *r, struct upload *u) {
    if (!u) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    *u->previous = u->next;
    if (u->next) {
        u->next->previous = u->previous;
    }
    r->n--;
    close(u->fd); // the session sees that its job hung up
    pthread_mutex_unlock(&r->lock);
    buf_free(&u->reply);
    buf_free(&u->outcome.errors);
    free(u->outcome.fatal);
    free(u);
}

// The lock is held.
static void wait_for(struct relay *r, struct upload *u, enum upload_state state) {
    u->state = state;
    MHD_suspend_connection(u->connection);
    ring(r);
}

size_t relay_send(struct relay *r, struct upload *u, const char *bytes, size_t n) {
    size_t sent = 0;
    pthread_mutex_lock(&r->lock);
    while (sent < n && !u->deaf) {
        ssize_t now = send(u->fd, bytes + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (now > 0) {
            sent += (size_t)now;
            u->last = bytes[sent - 1];
        } else if (errno == EAGAIN && !r->stopping) {
            wait_for(r, u, WAITS_FOR_ROOM);
            break;
        } else if (errno != EINTR) {
            u->deaf = true;
        }
    }
    sent = u->deaf ? n : sent;
    pthread_mutex_unlock(&r->lock);
    return sent;
}

const struct upload_outcome *relay_finish(struct relay *r, struct upload *u) {
    bool waits_for_room = u->last != '\n' && relay_send(r, u, "\n", 1) == 0;
    if (waits_for_room) {
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    if (!u->shut) {
        shutdown(u->fd, SHUT_WR);
        u->shut = true;
    }
    bool ended = u->ended;
    if (!ended) {
        wait_for(r, u, WAITS_FOR_END);
    }
    pthread_mutex_unlock(&r->lock);
    return ended ? &u->outcome : NULL;
}
