// The calls of the job: check, copy, append under the lock, wake the thread.
#include "clients/c/client.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clients/c/clock.h"
#include "clients/c/hello.h"

#define SPOOL_BYTES_DEFAULT (UINT64_C(1) << 30)

enum { QUEUE_BYTES_DEFAULT = 16 * 1024 * 1024, TOKEN_MAX = 4096, CLOSE_TIMEOUT_MS = 2000 };

static const char server_default[] = "127.0.0.1:27315";

static _Thread_local char open_error[PYR_ERROR_MAX];

// --- opening and closing ---

int pyr_client_wake_fd(void) {
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void pyr_client_wake(struct pyrometer *p) {
    (void)eventfd_write(p->wake_fd, 1);
}

void pyr_client_free(struct pyrometer *p) {
    pyr_queue_clear(&p->queue);
    pyr_queue_clear(&p->flight);
    pyr_spool_free(p->spool);
    pyr_text_free(&p->hello_first);
    pyr_text_free(&p->hello_again);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    if (p->wake_fd >= 0) {
        close(p->wake_fd);
    }
    if (p->locale) {
        freelocale(p->locale);
    }
    free(p->server);
    free(p);
}

// The first line of the file goes to `token`. False with the reason in open_error.
static bool read_token(const char *path, char token[TOKEN_MAX]) {
    FILE *file = fopen(path, "re");
    bool good = file && fgets(token, TOKEN_MAX, file);
    if (!good) {
        const char *why = file && !ferror(file) ? "it is empty" : strerror(errno);
        snprintf(open_error, sizeof open_error, "token_file %s: %s", path, why);
    } else {
        token[strcspn(token, "\r\n")] = '\0';
    }
    if (file) {
        fclose(file);
    }
    return good;
}

static const char *server_of(const struct pyrometer_config *config) {
    const char *server = config->server ? config->server : getenv("PYROMETER_SERVER");
    return server && server[0] ? server : server_default;
}

// Where spools are: as configured, else $PYROMETER_SPOOL, else below $XDG_STATE_HOME, else
// ~/.local/state. False: nowhere.
static bool spool_root(const struct pyrometer_config *config, char root[PATH_MAX]) {
    const char *named = config->spool ? config->spool : getenv("PYROMETER_SPOOL");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n = 0;
    if (named) {
        n = snprintf(root, PATH_MAX, "%s", named);
    } else if (state && state[0]) {
        n = snprintf(root, PATH_MAX, "%s/pyrometer/spool", state);
    } else if (home && home[0]) {
        n = snprintf(root, PATH_MAX, "%s/.local/state/pyrometer/spool", home);
    }
    return n > 0 && n < PATH_MAX;
}

// The spool's hellos go without the token: a directory of recordings is no place for it.
static bool prepare_spool(struct pyrometer *p, const struct pyrometer_config *config) {
    char root[PATH_MAX];
    if (!spool_root(config, root)) {
        return true;
    }
    struct pyr_text first = {0}, again = {0};
    pyr_hello_write(&first, config, NULL, true);
    pyr_hello_write(&again, config, NULL, false);
    uint64_t bytes_max = config->spool_bytes ? config->spool_bytes : SPOOL_BYTES_DEFAULT;
    if (!first.failed && !again.failed) {
        p->spool = pyr_spool_new(root, config->run, &first, &again, bytes_max);
    }
    pyr_text_free(&first);
    pyr_text_free(&again);
    return p->spool != NULL;
}

// Fills what is fixed. 0 or a negative errno value with the reason in open_error.
static int prepare(struct pyrometer *p, const struct pyrometer_config *config) {
    char from_file[TOKEN_MAX];
    const char *token = config->token;
    const char *fault = pyr_config_fault(config);
    if (fault) {
        snprintf(open_error, sizeof open_error, "%s", fault);
        return -EINVAL;
    }
    if (!token && config->token_file) {
        if (!read_token(config->token_file, from_file)) {
            return -EINVAL;
        }
        token = from_file;
    }
    p->server = strdup(server_of(config));
    if (p->server && strncmp(p->server, "tls://", 6) == 0) {
        snprintf(open_error, sizeof open_error,
                 "server %s: this library speaks no TLS; expected the plain address of a tunnel to "
                 "it (stunnel, ssh -L)",
                 p->server);
        return -EINVAL;
    }
    if (p->server && !pyr_address_parse(&p->address, p->server)) {
        snprintf(open_error, sizeof open_error,
                 "server %s: expected host:port, [address]:port or unix:/path", p->server);
        return -EINVAL;
    }
    locale_t before = uselocale(p->locale);
    pyr_hello_write(&p->hello_first, config, token, true);
    pyr_hello_write(&p->hello_again, config, token, false);
    bool has_spool = prepare_spool(p, config);
    (void)uselocale(before);
    p->rewind_step = config->rewind ? config->rewind_step : INT64_MAX;
    p->layer_count = config->layer_count;
    p->lines_only = config->lines_only;
    p->queue.bytes_max = config->queue_bytes ? config->queue_bytes : QUEUE_BYTES_DEFAULT;
    p->flight.bytes_max = SIZE_MAX / 2;
    p->on_alert = config->on_alert;
    p->alert_context = config->alert_context;
    bool whole = p->server && !p->hello_first.failed && !p->hello_again.failed && has_spool;
    return whole ? 0 : -ENOMEM;
}

// The thread takes no signals: they are the job's.
static int start_thread(struct pyrometer *p) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&p->thread, NULL, pyr_link_run, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static struct pyrometer *new_client(void) {
    struct pyrometer *p = calloc(1, sizeof *p);
    if (!p) {
        return NULL;
    }
    p->owner = getpid();
    p->fd = -1;
    p->counters.last_step = p->counters.last_acked_step = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&p->lock, NULL);
    p->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    p->wake_fd = pyr_client_wake_fd();
    return p;
}

struct pyrometer *pyrometer_open(const struct pyrometer_config *config) {
    int cancel;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); // it would leak what is open
    open_error[0] = '\0';
    struct pyrometer *p = config ? new_client() : NULL;
    int rc = config ? -ENOMEM : -EINVAL;
    if (p && p->wake_fd < 0) {
        rc = -errno;
    } else if (p && p->locale) {
        rc = prepare(p, config);
        rc = rc < 0 ? rc : start_thread(p);
    }
    (void)pthread_setcancelstate(cancel, NULL);
    if (rc == 0) {
        return p;
    }
    if (!open_error[0]) {
        snprintf(open_error, sizeof open_error, "%s", strerror(-rc));
    }
    if (p) {
        pyr_client_free(p);
    }
    errno = -rc;
    return NULL;
}

// 0, or why the handle cannot be used here.
static int usable(const struct pyrometer *p) {
    return !p ? -EINVAL : p->owner != getpid() ? -ECHILD : 0;
}

static struct timespec deadline_in(int timeout_ms) {
    int64_t at = pyr_clock_ms() + (timeout_ms > 0 ? timeout_ms : 0);
    return (struct timespec){.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000};
}

void pyrometer_close(struct pyrometer *p) {
    int rc = usable(p);
    if (rc == -ECHILD) {
        close(p->wake_fd);
        pyr_spool_after_fork(p->spool);
        if (p->fd >= 0) {
            close(p->fd);
        }
    }
    if (rc < 0) {
        return;
    }
    int cancel;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    struct timespec deadline = deadline_in(CLOSE_TIMEOUT_MS);
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pyr_client_wake(p);
    int waited = 0;
    while (!p->done && waited == 0) {
        waited = pthread_cond_timedwait(&p->changed, &p->lock, &deadline);
    }
    bool done = p->done;
    p->abandoned = !done; // the thread is inside the system's name resolver
    pthread_t thread = p->thread;
    if (!done) {
        pthread_detach(thread);
    }
    pthread_mutex_unlock(&p->lock);
    if (done) {
        pthread_join(thread, NULL);
        pyr_client_free(p);
    }
    (void)pthread_setcancelstate(cancel, NULL);
}

// --- queueing ---

// With the lock held: 0 when m went into the queue.
static int append(struct pyrometer *p, struct pyr_message *m) {
    if (p->counters.stopped && (!p->spool || p->spool_failed)) {
        return -ECONNABORTED;
    }
    if (p->ended) {
        return -ESHUTDOWN;
    }
    if (m->kind == PYR_STEP && m->step <= p->counters.last_step) {
        snprintf(p->error, sizeof p->error, "step %lld after step %lld: steps must rise from 0",
                 (long long)m->step, (long long)p->counters.last_step);
        return -EINVAL;
    }
    if (!pyr_queue_append(&p->queue, m)) {
        snprintf(p->error, sizeof p->error, "the queue of %zu bytes is full", p->queue.bytes_max);
        return -ENOBUFS;
    }
    if (m->kind == PYR_STEP) {
        p->counters.last_step = m->step;
    }
    p->ended = m->kind == PYR_END;
    return 0;
}

// Takes m, which may be NULL for want of memory.
static int queue_message(struct pyrometer *p, struct pyr_message *m) {
    pthread_mutex_lock(&p->lock);
    int rc = m ? append(p, m) : -ENOMEM;
    bool wake = rc == 0 && (p->queue.unsent == m || pyr_queue_is_crowded(&p->queue));
    p->counters.dropped += rc < 0 && !(m && m->kind == PYR_END);
    pthread_mutex_unlock(&p->lock);
    if (wake) {
        pyr_client_wake(p);
    }
    if (rc < 0) {
        free(m);
    }
    return rc;
}

static bool step_good(const struct pyrometer_step *s) {
    bool good = s && (!s->column_count || s->columns) && (!s->scalar_count || s->scalars);
    for (size_t i = 0; good && i < s->column_count; i++) {
        good = s->columns[i].name != NULL;
    }
    for (size_t i = 0; good && i < s->scalar_count; i++) {
        good = s->scalars[i].name != NULL;
    }
    return good;
}

int pyrometer_step(struct pyrometer *p, const struct pyrometer_step *step) {
    int rc = usable(p);
    if (rc == 0 && !step_good(step)) {
        rc = -EINVAL;
    }
    return rc < 0 ? rc : queue_message(p, pyr_message_step(step, p->layer_count));
}

// Now, and later than any event before: the daemon knows by its time one that is sent again.
static int64_t next_event_time_us(struct pyrometer *p) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    pthread_mutex_lock(&p->lock);
    p->event_time_us = now_us > p->event_time_us ? now_us : p->event_time_us + 1;
    now_us = p->event_time_us;
    pthread_mutex_unlock(&p->lock);
    return now_us;
}

int pyrometer_event(struct pyrometer *p, int64_t step, const char *name, const char *data_json) {
    int rc = usable(p);
    if (rc == 0 && (!name || (data_json && strchr(data_json, '\n')))) {
        rc = -EINVAL;
    }
    if (rc < 0) {
        return rc;
    }
    return queue_message(p, pyr_message_event(step, next_event_time_us(p), name, data_json));
}

// One that the daemon takes, or that does not matter any more.
static bool status_good(struct pyrometer *p, const char *status) {
    pthread_mutex_lock(&p->lock);
    bool ended = p->ended;
    pthread_mutex_unlock(&p->lock);
    return ended || strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
           strcmp(status, "stopped") == 0;
}

static void unlock(void *client) {
    pthread_mutex_unlock(&((struct pyrometer *)client)->lock);
}

// 0, or the reason, when all is stored.
static int await_all(struct pyrometer *p, const struct timespec *deadline) {
    volatile int rc = 0;
    pthread_mutex_lock(&p->lock);
    pthread_cleanup_push(unlock, p); // the wait is where a thread may be cancelled
    while (rc == 0 && (p->queue.count > 0 || p->spooling) && !p->counters.stopped) {
        rc = -pthread_cond_timedwait(&p->changed, &p->lock, deadline);
    }
    if (p->counters.stopped) {
        rc = -ECONNABORTED;
    }
    pthread_cleanup_pop(1);
    return rc;
}

int pyrometer_finish(struct pyrometer *p, const char *status, int timeout_ms) {
    int rc = usable(p);
    status = status ? status : "completed";
    if (rc == 0 && !status_good(p, status)) {
        rc = -EINVAL;
    }
    if (rc < 0) {
        return rc;
    }
    struct timespec deadline = deadline_in(timeout_ms);
    rc = queue_message(p, pyr_message_end(status));
    return rc == 0 || rc == -ESHUTDOWN ? await_all(p, &deadline) : rc; // queued now or earlier
}

// --- looking ---

int pyrometer_counters(struct pyrometer *p, struct pyrometer_counters *out) {
    int rc = usable(p);
    if (rc < 0 || !out) {
        return rc < 0 ? rc : -EINVAL;
    }
    pthread_mutex_lock(&p->lock);
    *out = p->counters;
    out->dropped += p->spool_dropped;
    out->queued = p->queue.count;
    out->queued_bytes = p->queue.bytes;
    pthread_mutex_unlock(&p->lock);
    out->lag = out->queued + out->spooled > 0 && out->last_step > out->last_acked_step
                   ? out->last_step - out->last_acked_step
                   : 0;
    return 0;
}

int pyrometer_last_error(struct pyrometer *p, char *text, size_t size) {
    int rc = p ? usable(p) : 0;
    if (rc < 0 || !text || size == 0) {
        return rc < 0 ? rc : -EINVAL;
    }
    if (!p) {
        snprintf(text, size, "%s", open_error);
        return 0;
    }
    pthread_mutex_lock(&p->lock);
    snprintf(text, size, "%s", p->error);
    pthread_mutex_unlock(&p->lock);
    return 0;
}
