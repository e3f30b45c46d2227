// The client's thread: one connection after another to the daemon.
//
// A connection begins with the hello. After the welcome everything in the queue is sent in order
// and stays there until the daemon settled it: a step by an ack, anything else by a later step's
// ack or by the pong to a ping sent after it (the protocol acknowledges only steps). When the
// connection breaks, what is left is sent again on the next; the welcome says which steps had
// reached the disk nevertheless.
#include "clients/c/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/c/backlog.h"
#include "clients/c/clock.h"
#include "clients/c/frame.h"
#include "clients/c/reply.h"

enum {
    OUT_HIGH = 256 * 1024, // bytes written ahead of the socket
    IN_MAX = 256 * 1024,   // longest answer: an alert with all of its rule's annotations
    WELCOME_TIMEOUT_MS = 10000,
    BROKEN_TIMEOUT_MS = 1000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 5000,
    LOST_AFTER_MS = 20000, // without a word while something waits for an answer
    TICK_MS = 1000, // while something waits; and what a kill can cost while there is no daemon
};

// Owned by the thread.
struct link {
    struct pyrometer *p;
    int fd;
    bool alive;    // this connection
    bool welcomed; // on this connection
    bool broken;   // sending failed; what the daemon said before may explain it
    bool known;    // on an earlier one
    bool frames;   // steps go as binary frames on this connection
    int64_t deadline_ms;
    uint64_t lines; // and frames, written on this connection
    const struct pyr_queue *pinged_queue;
    uint64_t pinged_index; // the newest message before the last ping
    int64_t heard_ms;      // when the daemon last spoke, or nothing was left to answer
    int64_t away_ms;       // when the last connection ended
    bool pinged;           // its pong is still to come
    int64_t ping_ms;       // the next is sent no earlier
    bool more;             // fill() left messages for the next round
    struct pyr_text out;
    size_t out_sent;
    size_t in_length;
    int backoff_ms;
    uint64_t random;
    char in[IN_MAX];
};

__attribute__((format(printf, 2, 3))) static void set_error(struct pyrometer *p, const char *format,
                                                            ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&p->lock);
    vsnprintf(p->error, sizeof p->error, format, arguments);
    pthread_mutex_unlock(&p->lock);
    va_end(arguments);
}

static bool wanted(struct pyrometer *p) {
    pthread_mutex_lock(&p->lock);
    bool over = p->stop || p->counters.stopped || (p->ended && p->queue.count == 0 && !p->spooling);
    pthread_mutex_unlock(&p->lock);
    return !over;
}

static void drain_wake(struct pyrometer *p) {
    eventfd_t unused;
    if (eventfd_read(p->wake_fd, &unused) != 0 && errno == EBADF) {
        p->wake_fd = pyr_client_wake_fd(); // the job closed it, as programs do that become daemons
    }
}

static bool empty_wake(void *client) {
    drain_wake(client);
    return wanted(client);
}

// The same while there is no connection: what comes meanwhile may not fill the memory.
static bool empty_wake_away(void *client) {
    struct pyrometer *p = client;
    bool go_on = empty_wake(p);
    pthread_mutex_lock(&p->lock);
    bool crowded = pyr_queue_is_crowded(&p->queue);
    pthread_mutex_unlock(&p->lock);
    if (crowded) {
        pyr_backlog_spill(p, false);
    }
    return go_on;
}

// --- what the daemon says ---

// With the lock held.
static void count_settled(struct pyrometer *p, uint64_t count) {
    p->counters.acked += count;
    if (p->queue.count == 0) {
        pthread_cond_broadcast(&p->changed);
    }
}

static void on_welcome(struct link *k, const struct pyr_reply *reply) {
    struct pyrometer *p = k->p;
    pthread_mutex_lock(&p->lock);
    // After a rewind nothing later than its step counts, whatever had been stored before.
    int64_t durable = reply->last_step;
    if (!k->known && durable > p->rewind_step) {
        durable = p->rewind_step;
    }
    p->counters.last_acked_step = durable;
    p->counters.connected = true;
    p->counters.reconnects += k->known;
    count_settled(p, pyr_queue_drop_steps(&p->queue, durable));
    pthread_mutex_unlock(&p->lock);
    if (p->spool) {
        pyr_spool_hello_said(p->spool);
    }
    k->welcomed = k->known = true;
    k->frames = reply->frames == PYR_FRAME_VERSION && !p->lines_only;
    k->backoff_ms = BACKOFF_FIRST_MS;
}

static void on_ack(struct pyrometer *p, int64_t step) {
    pthread_mutex_lock(&p->lock);
    if (step > p->counters.last_acked_step) {
        p->counters.last_acked_step = step;
    }
    count_settled(p, pyr_queue_settle_step(&p->flight, step));
    count_settled(p, pyr_queue_settle_step(&p->queue, step));
    pthread_mutex_unlock(&p->lock);
}

// The pong comes once all before the ping is on disk; or it says that the daemon's disk takes
// nothing at the moment, and then it is asked again.
static void on_pong(struct link *k, const struct pyr_reply *reply) {
    struct pyrometer *p = k->p;
    if (!k->pinged) {
        return;
    }
    k->pinged = false;
    if (reply->unstored) {
        k->pinged_index = 0;
        k->ping_ms = pyr_clock_ms() + TICK_MS;
        return;
    }
    pthread_mutex_lock(&p->lock);
    struct pyr_queue *q = k->pinged_queue == &p->flight ? &p->flight : &p->queue;
    count_settled(p, pyr_queue_settle_index(q, k->pinged_index));
    pthread_mutex_unlock(&p->lock);
}

static bool is_one_of(const char *code, const char *const *codes) {
    while (*codes && strcmp(code, *codes) != 0) {
        codes++;
    }
    return *codes != NULL;
}

// Refusals that the same configuration would meet again, or the same hello.
static bool for_good(const struct link *k, const struct pyr_reply *reply) {
    static const char *const fatal[] = {"unauthorized", "layers_differ",        "bad_hello",
                                        "no_hello",     "unsupported_protocol", NULL};
    static const char *const of_hello[] = {"bad_json", "too_large", NULL};
    return (reply->fatal && is_one_of(reply->code, fatal)) ||
           (!k->welcomed && is_one_of(reply->code, of_hello));
}

static void on_error(struct link *k, const struct pyr_reply *reply) {
    struct pyrometer *p = k->p;
    set_error(p, "%s: %s: %s", p->server, reply->code, reply->message);
    pthread_mutex_lock(&p->lock);
    if (reply->line > 0 && (pyr_queue_refuse_line(&p->flight, (uint64_t)reply->line) ||
                            pyr_queue_refuse_line(&p->queue, (uint64_t)reply->line))) {
        p->counters.refused++;
        count_settled(p, 0);
    }
    bool stopped = for_good(k, reply);
    if (stopped) {
        p->counters.stopped = true;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    k->alive = !reply->fatal && !stopped;
}

static bool is_daemons(const struct pyr_reply *reply) {
    return strcmp(reply->type, "welcome") != 0 || reply->last_step >= -1;
}

// Whatever the other side is: an error's words are text.
static void on_nonsense(struct link *k, const char *line, size_t n) {
    char shown[101];
    n = n < sizeof shown - 1 ? n : sizeof shown - 1;
    for (size_t i = 0; i < n; i++) {
        shown[i] = (char)(line[i] >= ' ' && line[i] <= '~' ? line[i] : '?');
    }
    shown[n] = '\0';
    set_error(k->p, "%s: the answer is not pyrometerd's: %s", k->p->server, shown);
    k->alive = false;
}

static void on_line(struct link *k, const char *line, size_t n) {
    struct pyr_reply reply;
    if (!pyr_reply_parse(&reply, line, n) || !is_daemons(&reply)) {
        on_nonsense(k, line, n);
    } else if (strcmp(reply.type, "welcome") == 0 && !k->welcomed) {
        on_welcome(k, &reply);
    } else if (strcmp(reply.type, "ack") == 0) {
        on_ack(k->p, reply.step);
    } else if (strcmp(reply.type, "pong") == 0) {
        on_pong(k, &reply);
    } else if (strcmp(reply.type, "alert") == 0 && k->p->on_alert) {
        k->p->on_alert(k->p->alert_context, line);
    } else if (strcmp(reply.type, "error") == 0) {
        on_error(k, &reply);
    }
}

static void take_lines(struct link *k) {
    size_t at = 0;
    while (k->alive && at < k->in_length) {
        char *line = k->in + at;
        char *end = memchr(line, '\n', k->in_length - at);
        if (!end) {
            break;
        }
        *end = '\0';
        on_line(k, line, (size_t)(end - line));
        at += (size_t)(end - line) + 1;
    }
    memmove(k->in, k->in + at, k->in_length - at);
    k->in_length -= at;
    if (k->alive && k->in_length == sizeof k->in) {
        set_error(k->p, "%s: an answer longer than %d bytes", k->p->server, IN_MAX);
        k->alive = false;
    }
}

static void receive(struct link *k) {
    ssize_t n = recv(k->fd, k->in + k->in_length, sizeof k->in - k->in_length, 0);
    if (n > 0) {
        k->in_length += (size_t)n;
        k->heard_ms = pyr_clock_ms();
        take_lines(k);
    } else if (n == 0) {
        // A daemon that was killed closes, too, and may have stored nothing of what it read.
        set_error(k->p, "%s: the daemon closed the connection", k->p->server);
        k->alive = false;
    } else if (errno != EAGAIN && errno != EINTR) {
        set_error(k->p, "%s: %s", k->p->server, strerror(errno));
        k->alive = false;
    }
}

// --- what the client says ---

// The next message; else NULL, and *ping when one is due.
static struct pyr_message *take_message(struct link *k, bool *ping) {
    struct pyrometer *p = k->p;
    struct pyr_queue *source = pyr_backlog_source(p);
    pthread_mutex_lock(&p->lock);
    struct pyr_message *m = pyr_queue_take(source);
    const struct pyr_message *tail = source->tail;
    uint64_t pinged = k->pinged_queue == source ? k->pinged_index : 0;
    if (m) {
        m->scalars_apart = k->frames && pyr_message_fits_frame(m) && pyr_message_has_scalars(m);
        k->lines += m->scalars_apart ? 2 : 1;
        m->line = k->lines;
        p->counters.sent++;
    } else if (!k->pinged && tail && tail->kind != PYR_STEP && tail->index > pinged &&
               pyr_clock_left_ms(k->ping_ms) == 0) {
        k->pinged_queue = source;
        k->pinged_index = tail->index;
        k->pinged = *ping = true;
        k->lines++;
    }
    pthread_mutex_unlock(&p->lock);
    return m;
}

// Only this thread takes messages out of the queue, so that m stays while it is written without the
// lock.
static void fill(struct link *k) {
    bool ping = false;
    k->more = k->welcomed && !k->broken;
    while (k->more && k->out.length - k->out_sent < OUT_HIGH) {
        struct pyr_message *m = take_message(k, &ping);
        if (m) {
            pyr_message_write(m, k->frames && pyr_message_fits_frame(m), &k->out);
        }
        k->more = m != NULL;
    }
    if (ping) {
        pyr_text_literal(&k->out, "{\"type\":\"ping\"}\n");
    }
    if (k->out.failed) {
        set_error(k->p, "out of memory");
        k->alive = false;
    }
}

static void flush(struct link *k) {
    while (!k->broken && k->out_sent < k->out.length) {
        ssize_t n =
            send(k->fd, k->out.data + k->out_sent, k->out.length - k->out_sent, MSG_NOSIGNAL);
        if (n >= 0) {
            k->out_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            k->broken = true;
            k->deadline_ms = pyr_clock_ms() + BROKEN_TIMEOUT_MS;
            return;
        }
    }
    if (!k->broken) {
        k->out.length = k->out_sent = 0;
    }
}

// The welcome and the last words before a break are waited for with a bound.
static bool overdue(const struct link *k) {
    return (!k->welcomed || k->broken) && pyr_clock_left_ms(k->deadline_ms) == 0;
}

// For the daemon to settle something. When not, its silence means nothing.
static bool is_waiting(struct link *k) {
    struct pyrometer *p = k->p;
    pthread_mutex_lock(&p->lock);
    bool waiting = p->queue.count > 0 || p->flight.count > 0 || p->spooling;
    pthread_mutex_unlock(&p->lock);
    if (!waiting) {
        k->heard_ms = pyr_clock_ms();
    }
    return waiting;
}

// Silence ends a connection; and so does a daemon that does not keep up, when the rest can wait on
// disk: what was sent and is not settled must go there before what follows it.
static void check_pace(struct link *k) {
    struct pyrometer *p = k->p;
    if (k->alive && is_waiting(k) && pyr_clock_ms() - k->heard_ms > LOST_AFTER_MS) {
        set_error(p, "%s: nothing heard for %d s", p->server, LOST_AFTER_MS / 1000);
        k->alive = false;
    }
    pthread_mutex_lock(&p->lock);
    bool crowded = pyr_queue_is_crowded(&p->queue);
    bool untouched = p->queue.unsent == p->queue.head;
    pthread_mutex_unlock(&p->lock);
    if (!crowded || !pyr_backlog_can_spill(p)) {
        return;
    }
    if (untouched) {
        pyr_backlog_spill(p, false);
    } else {
        set_error(p, "%s: the daemon does not keep up; steps wait on disk", p->server);
        k->alive = false;
    }
}

static void hear(struct link *k, short events) {
    if (events & POLLNVAL) {
        set_error(k->p, "%s: the job closed the connection's descriptor", k->p->server);
        k->alive = false;
        k->fd = -1; // the number may be another file's by now
    } else if (events & (POLLIN | POLLERR | POLLHUP)) {
        receive(k);
    }
}

static void wait_and_receive(struct link *k) {
    bool pending = !k->broken && k->out_sent < k->out.length;
    bool bounded = !k->welcomed || k->broken;
    struct pollfd polled[2] = {
        {.fd = k->fd, .events = (short)(POLLIN | (pending ? POLLOUT : 0))},
        {.fd = k->p->wake_fd, .events = POLLIN},
    };
    int timeout_ms = bounded ? pyr_clock_left_ms(k->deadline_ms) : TICK_MS;
    (void)poll(polled, 2, k->more && !pending ? 0 : timeout_ms);
    if (polled[1].revents) {
        (void)empty_wake(k->p);
    }
    hear(k, polled[0].revents);
    if (k->alive && overdue(k)) {
        set_error(k->p, "%s: %s", k->p->server,
                  k->broken ? "the connection broke" : "no welcome in time");
        k->alive = false;
    }
}

// --- connections ---

static void begin(struct link *k) {
    const struct pyr_text *hello = k->known ? &k->p->hello_again : &k->p->hello_first;
    k->alive = true;
    k->welcomed = k->pinged = k->broken = false;
    k->pinged_index = 0;
    k->pinged_queue = NULL;
    k->ping_ms = 0;
    k->heard_ms = pyr_clock_ms();
    k->in_length = k->out_sent = 0;
    k->out.length = 0;
    k->out.failed = false;
    k->lines = 1;
    k->deadline_ms = pyr_clock_ms() + WELCOME_TIMEOUT_MS;
    pyr_text_add(&k->out, hello->data, hello->length);
    pyr_backlog_rewind(k->p);
    pthread_mutex_lock(&k->p->lock);
    pyr_queue_resend(&k->p->queue);
    pthread_mutex_unlock(&k->p->lock);
}

static void serve(struct link *k) {
    begin(k);
    while (k->alive && wanted(k->p)) {
        fill(k);
        flush(k);
        if (k->alive) {
            wait_and_receive(k);
            pyr_backlog_settled(k->p);
            check_pace(k);
        }
    }
    k->away_ms = pyr_clock_ms();
    pthread_mutex_lock(&k->p->lock);
    k->p->counters.connected = false;
    pthread_mutex_unlock(&k->p->lock);
}

static uint64_t draw(struct link *k) {
    k->random ^= k->random << 13;
    k->random ^= k->random >> 7;
    k->random ^= k->random << 17;
    return k->random;
}

// Waits between half the backoff and all of it, so that many jobs do not return all at once.
static void back_off(struct link *k) {
    int half = k->backoff_ms / 2;
    int64_t deadline = pyr_clock_ms() + half + (int64_t)(draw(k) % (uint64_t)(half + 1));
    k->backoff_ms = k->backoff_ms > BACKOFF_LAST_MS / 2 ? BACKOFF_LAST_MS : k->backoff_ms * 2;
    int left;
    while (wanted(k->p) && (left = pyr_clock_left_ms(deadline)) > 0) {
        struct pollfd polled = {.fd = k->p->wake_fd, .events = POLLIN};
        if (poll(&polled, 1, left < TICK_MS ? left : TICK_MS) > 0) {
            (void)empty_wake_away(k->p);
        }
        if (pyr_clock_ms() - k->away_ms >= TICK_MS) {
            pyr_backlog_spill(k->p, false);
        }
    }
}

// For children too, which hold the connection that they were forked with.
static void hang_up(int fd) {
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
}

static void run(struct link *k) {
    struct pyrometer *p = k->p;
    while (wanted(p)) {
        const char *why = NULL;
        k->fd = pyr_address_connect(&p->address, p->wake_fd, empty_wake_away, p, &why);
        if (k->fd >= 0) {
            p->fd = k->fd;
            serve(k);
            p->fd = -1;
            hang_up(k->fd);
        } else if (k->fd != -ECANCELED) {
            set_error(p, "%s: %s", p->server, why ? why : strerror(-k->fd));
        }
        back_off(k);
    }
}

// The daemon refused for good: the rest of the run waits on disk for another try.
static void keep(struct pyrometer *p) {
    for (bool go_on = p->spool != NULL; go_on;) {
        struct pollfd polled = {.fd = p->wake_fd, .events = POLLIN};
        if (poll(&polled, 1, TICK_MS) > 0) {
            drain_wake(p);
        }
        pyr_backlog_spill(p, false);
        pthread_mutex_lock(&p->lock);
        go_on = !p->stop;
        pthread_mutex_unlock(&p->lock);
    }
}

// What is left when the job closes the client.
static void put_away(struct pyrometer *p) {
    pyr_backlog_rewind(p);
    pthread_mutex_lock(&p->lock);
    bool left = p->queue.count > 0;
    bool refused = p->counters.stopped;
    pthread_mutex_unlock(&p->lock);
    if (refused) {
        keep(p);
    }
    if (left || refused) {
        pyr_backlog_spill(p, true);
    }
}

void *pyr_link_run(void *client) {
    struct pyrometer *p = client;
    (void)uselocale(p->locale);
    struct link *k = calloc(1, sizeof *k);
    if (k) {
        k->p = p;
        k->backoff_ms = BACKOFF_FIRST_MS;
        k->random = (uint64_t)pyr_clock_ms() ^ ((uint64_t)p->owner << 32) ^ (uintptr_t)p ^ 1;
        k->away_ms = pyr_clock_ms();
        if (p->spool) {
            pyr_backlog_adopt(p);
        }
        run(k);
        put_away(p);
        pyr_text_free(&k->out);
        free(k);
    } else {
        set_error(p, "out of memory");
    }
    (void)uselocale(LC_GLOBAL_LOCALE);
    pthread_mutex_lock(&p->lock);
    p->done = true;
    bool abandoned = p->abandoned;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (abandoned) {
        pyr_client_free(p);
    }
    return NULL;
}
