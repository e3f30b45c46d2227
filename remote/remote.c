#include "remote/remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "delivery/post.h"
#include "remote/endpoint.h"
#include "storage/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define BACKOFF_MAX_S 30.0
#define TOLD_AGAIN_S 3600
#define FINISH_S 5
#define NICE 10
#define ENDED_MAX 1000 // runs whose last readings wait for the thread

#define SECOND_NS UINT64_C(1000000000)

// The last readings of runs that have left the board.
struct ended {
    struct snapshot *at[ENDED_MAX];
    size_t n;
};

struct remote_write {
    struct board *board;
    char *data;
    pthread_t thread;
    bool started; // the loop thread's
    // The thread's.
    uv_loop_t loop;
    uv_timer_t timer;
    struct poster *poster;
    struct endpoint *endpoints;
    uint64_t deadline_ns; // 0: the daemon runs
    bool closed;
    // What the loop thread has for it.
    uv_async_t wake;
    pthread_mutex_t lock;
    struct endpoint *configured; // the list that will be in force
    bool has_configured, finishing;
    struct ended ended;
    // The store, which may be closed at any time.
    pthread_mutex_t reader_lock;
    struct reader *reader;
    bool reader_closed;
};

static void pump(struct endpoint *e);
static void settle(struct remote_write *w);

// -- what people see of it -----------------------------------------------------------------------

static void publish(struct remote_write *w) {
    struct board_remote remotes[LIMIT_REMOTE_WRITE];
    size_t n = 0;
    for (const struct endpoint *e = w->endpoints; e && n < LIMIT_REMOTE_WRITE; e = e->next) {
        if (!e->gone) {
            struct board_remote *r = &remotes[n++];
            *r = (struct board_remote){.sent = e->n_sent,
                                       .failed = e->n_failed,
                                       .dropped = e->n_dropped,
                                       .waiting = e->queue.n_samples};
            memcpy(r->name, e->name, sizeof r->name);
        }
    }
    board_set_remotes(w->board, remotes, n);
}

// Each kind of failure once until the receiver works again, and once an hour: those that refuse
// some samples take others in between. Status 0: there was no answer.
static void warn(struct endpoint *e, long status, const char *cause, const char *then) {
    uint64_t now = clock_monotonic_ns();
    if (!e->told_ns || e->told_status != status || now - e->told_ns > TOLD_AGAIN_S * SECOND_NS) {
        log_warning("remote_write to %s: %s; %s", e->name, cause, then);
        e->told_status = status;
        e->told_ns = now;
    }
}

// -- the end of a try ----------------------------------------------------------------------------

static bool is_idle(const struct endpoint *e) {
    return !e->sending && !e->queue.first;
}

static void close_all(struct remote_write *w) {
    if (w->closed) {
        return;
    }
    w->closed = true;
    for (struct endpoint *e = w->endpoints; e; e = e->next) {
        uint64_t n_lost = queue_clear(&e->queue);
        if (n_lost && !e->gone) {
            log_warning("remote_write to %s: %llu samples were not taken before the end", e->name,
                        (unsigned long long)n_lost);
        }
    }
    poster_close(w->poster);
    uv_close((uv_handle_t *)&w->timer, NULL);
    uv_close((uv_handle_t *)&w->wake, NULL);
}

// The process ends once everything is sent or will not be.
static void close_when_done(struct remote_write *w) {
    bool done = w->deadline_ns != 0;
    for (const struct endpoint *e = w->endpoints; e; e = e->next) {
        done = done && (e->gone || is_idle(e));
    }
    if (done || (w->deadline_ns && clock_monotonic_ns() >= w->deadline_ns)) {
        close_all(w);
    }
}

static void remove_endpoint(struct endpoint *e) {
    struct endpoint **at = &e->owner->endpoints;
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    endpoint_destroy(e);
}

static void on_taken(struct endpoint *e) {
    if (e->failures) {
        log_info("remote_write to %s: it takes samples again", e->name);
        e->told_ns = 0;
    }
    e->failures = 0;
    e->is_shedding = false;
    e->n_sent += queue_pop(&e->queue);
}

static void on_failed(struct endpoint *e, long status, double retry_after_s, const char *cause) {
    bool is_last = e->owner->deadline_ns != 0; // there will be no other time
    warn(e, status, cause, is_last ? "what waits is lost" : "samples wait and are sent again");
    e->n_failed += e->queue.first->n_samples;
    double pause_s = post_pause_s(e->failures++, BACKOFF_MAX_S, retry_after_s);
    e->retry_at_ns = clock_monotonic_ns() + (uint64_t)(pause_s * 1e9);
    if (is_last) {
        e->n_dropped += queue_clear(&e->queue);
    }
}

static void on_posted(void *context, long status, double retry_after_s, const char *answer) {
    struct endpoint *e = context;
    struct remote_write *w = e->owner;
    char cause[256];
    snprintf(cause, sizeof cause, "it answered with status %ld%s%s", status, *answer ? ": " : "",
             answer);
    e->sending = false;
    if (e->gone) {
        remove_endpoint(e);
        close_when_done(w);
        return;
    }
    if (status >= 200 && status < 300) {
        on_taken(e);
    } else if (status == 0 || status == 429 || status >= 500) {
        on_failed(e, status, retry_after_s, status ? cause : answer);
    } else {
        warn(e, status, cause, "these samples are not sent again");
        e->n_dropped += queue_pop(&e->queue);
    }
    pump(e);
    settle(w);
}

// -- a try ---------------------------------------------------------------------------------------

static void pump(struct endpoint *e) {
    const struct queued *m = e->queue.first;
    if (e->sending || e->gone || !m || clock_monotonic_ns() < e->retry_at_ns) {
        return;
    }
    e->sending = true;
    struct post p = {.url = e->url,
                     .headers = (const char *const *)e->headers,
                     .body = m->bytes,
                     .size = m->size};
    poster_send(e->owner->poster, &p, on_posted, e);
}

static void shed(struct endpoint *e) {
    uint64_t n = queue_shed(&e->queue, e->sending);
    e->n_dropped += n;
    if (n && !e->is_shedding) {
        e->is_shedding = true;
        log_warning("remote_write to %s: over %zu bytes wait (max_queue); the oldest samples are "
                    "dropped",
                    e->name, e->queue.max_bytes);
    }
}

// -- rounds --------------------------------------------------------------------------------------

// What fires, by the store; false when it cannot be read.
static bool count_firing(struct remote_write *w, uint64_t firing[SAMPLE_SEVERITIES]) {
    struct buf why;
    buf_init(&why, 4096);
    pthread_mutex_lock(&w->reader_lock);
    bool is_open = !w->reader_closed && (w->reader || reader_open(&w->reader, w->data, &why) == 0);
    bool ok = is_open && samples_count_firing(w->reader, firing);
    pthread_mutex_unlock(&w->reader_lock);
    buf_free(&why);
    return ok;
}

static void write_due(struct remote_write *w, uint64_t now) {
    uint64_t firing[SAMPLE_SEVERITIES];
    bool is_known = count_firing(w, firing);
    struct snapshot **runs;
    size_t n = board_all(w->board, &runs);
    for (struct endpoint *e = w->endpoints; e; e = e->next) {
        if (!e->gone && now >= e->round_at_ns) {
            endpoint_write(e, w->board, is_known ? firing : NULL, runs, n);
            bool is_late = e->round_at_ns + e->interval_ns <= now;
            e->round_at_ns = (is_late ? now : e->round_at_ns) + e->interval_ns;
            shed(e);
        }
    }
    for (size_t i = 0; i < n; i++) {
        snapshot_unref(runs[i]);
    }
    free(runs);
}

static void look(struct remote_write *w);

static void on_timer(uv_timer_t *timer) {
    look(timer->data);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// When something is due next.
static uint64_t next_due(const struct remote_write *w) {
    uint64_t due = w->deadline_ns ? w->deadline_ns : UINT64_MAX;
    for (const struct endpoint *e = w->endpoints; e; e = e->next) {
        if (!e->gone && !w->deadline_ns) {
            due = earlier(due, e->round_at_ns);
        }
        if (!e->gone && !e->sending && e->queue.first) {
            due = earlier(due, e->retry_at_ns);
        }
    }
    return due;
}

static void arm(struct remote_write *w) {
    uint64_t due = next_due(w), now = clock_monotonic_ns();
    if (due == UINT64_MAX) {
        uv_timer_stop(&w->timer);
    } else {
        uv_update_time(&w->loop);
        uv_timer_start(&w->timer, on_timer, due > now ? (due - now) / 1000000 + 1 : 0, 0);
    }
}

// Behind everything that happens.
static void settle(struct remote_write *w) {
    publish(w);
    arm(w);
    close_when_done(w);
}

// Does what is due.
static void look(struct remote_write *w) {
    uint64_t now = clock_monotonic_ns();
    bool is_due = false;
    for (const struct endpoint *e = w->endpoints; e; e = e->next) {
        is_due = is_due || (!e->gone && now >= e->round_at_ns);
    }
    if (is_due && !w->deadline_ns) {
        write_due(w, now);
    }
    for (struct endpoint *e = w->endpoints; e; e = e->next) {
        pump(e);
    }
    settle(w);
}

// -- what the loop thread has for it -------------------------------------------------------------

static struct endpoint *take(struct endpoint **list, const char *name) {
    struct endpoint **at = list;
    while (*at && ((*at)->gone || strcmp((*at)->name, name) != 0)) {
        at = &(*at)->next;
    }
    struct endpoint *e = *at;
    if (e) {
        *at = e->next;
    }
    return e;
}

// Those that stay take their places in the new list, with what waits and what they know.
static struct endpoint *keep(struct remote_write *w, struct endpoint *list) {
    for (struct endpoint **at = &list; *at; at = &(*at)->next) {
        struct endpoint *new = *at, *old = take(&w->endpoints, new->name);
        if (old) {
            endpoint_change(old, new);
            old->next = new->next;
            *at = old;
            endpoint_destroy(new);
        }
        (*at)->owner = w;
    }
    return list;
}

// What the configuration does not name any more goes, with what waits for it.
static void configure(struct remote_write *w, struct endpoint *list) {
    list = keep(w, list);
    struct endpoint *old = w->endpoints;
    w->endpoints = list;
    while (old) {
        struct endpoint *e = old;
        old = e->next;
        e->gone = true;
        if (e->sending) { // its answer is waited for
            e->next = w->endpoints;
            w->endpoints = e;
        } else {
            endpoint_destroy(e);
        }
    }
}

static void write_ended(struct remote_write *w, const struct ended *ended) {
    for (struct endpoint *e = w->endpoints; e && ended->n; e = e->next) {
        if (!e->gone) {
            endpoint_write_ends(e, ended->at, ended->n);
            shed(e);
        }
    }
    for (size_t i = 0; i < ended->n; i++) {
        snapshot_unref(ended->at[i]);
    }
}

static void begin_end(struct remote_write *w) {
    w->deadline_ns = clock_monotonic_ns() + FINISH_S * SECOND_NS;
    for (struct endpoint *e = w->endpoints; e; e = e->next) {
        if (!e->gone) {
            endpoint_write_all_ends(e);
            e->retry_at_ns = 0;
        }
    }
}

static void on_wake(uv_async_t *async) {
    struct remote_write *w = async->data;
    struct ended *ended = NEW(struct ended);
    pthread_mutex_lock(&w->lock);
    struct endpoint *configured = w->configured;
    bool has_configured = w->has_configured, finishing = w->finishing;
    *ended = w->ended;
    w->configured = NULL;
    w->has_configured = false;
    w->ended.n = 0;
    pthread_mutex_unlock(&w->lock);
    if (has_configured) {
        configure(w, configured);
    }
    write_ended(w, ended);
    free(ended);
    if (finishing && !w->deadline_ns) {
        begin_end(w);
    }
    look(w);
}

static void *run(void *context) {
    struct remote_write *w = context;
    prctl(PR_SET_NAME, "remote");
    setpriority(PRIO_PROCESS, 0, NICE); // of this thread; at worst it does not give way
    uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

// -- the loop thread's calls ---------------------------------------------------------------------

struct remote_write *remote_create(struct board *board, const char *data) {
    struct remote_write *w = NEW(struct remote_write);
    w->board = board;
    w->data = must_copy(data);
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
    CHECK(pthread_mutex_init(&w->reader_lock, NULL) == 0);
    return w;
}

static int start(struct remote_write *w, struct buf *messages) {
    CHECK(uv_loop_init(&w->loop) == 0);
    uv_timer_init(&w->loop, &w->timer);
    uv_async_init(&w->loop, &w->wake, on_wake);
    w->timer.data = w->wake.data = w;
    w->poster = poster_create(&w->loop);
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc) {
        buf_printf(messages, "remote_write: cannot start its thread: %s\n", strerror(rc));
        close_all(w);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        CHECK(uv_loop_close(&w->loop) == 0);
        w->closed = false;
        return -1;
    }
    w->started = true;
    return 0;
}

int remote_check(const struct config *config, struct buf *messages) {
    struct endpoint *first;
    int rc = endpoints_create(config, &first, messages);
    endpoints_destroy(first);
    return rc;
}

int remote_configure(struct remote_write *w, const struct config *config, struct buf *messages) {
    struct endpoint *list;
    if (endpoints_create(config, &list, messages)) {
        return -1;
    }
    if (!w->started && !list) {
        return 0;
    }
    if (!w->started && start(w, messages)) {
        endpoints_destroy(list);
        return -1;
    }
    pthread_mutex_lock(&w->lock);
    struct endpoint *unused = w->configured;
    w->configured = list;
    w->has_configured = true;
    pthread_mutex_unlock(&w->lock);
    endpoints_destroy(unused);
    uv_async_send(&w->wake);
    return 0;
}

// The thread has it from now on. Without room for it the series end all the same, in the next
// round.
static void hand_over(struct remote_write *w, struct snapshot *s) {
    pthread_mutex_lock(&w->lock);
    if (s && !w->finishing && w->ended.n < ENDED_MAX) {
        w->ended.at[w->ended.n++] = s;
        s = NULL;
    }
    pthread_mutex_unlock(&w->lock);
    snapshot_unref(s);
}

void remote_run_ends(struct remote_write *w, const char *name) {
    if (w->started) {
        hand_over(w, board_find(w->board, name));
        uv_async_send(&w->wake);
    }
}

void remote_finish(struct remote_write *w) {
    pthread_mutex_lock(&w->reader_lock);
    w->reader_closed = true;
    reader_close(w->reader);
    w->reader = NULL;
    pthread_mutex_unlock(&w->reader_lock);
    if (!w->started) {
        return;
    }
    struct snapshot **runs;
    size_t n = board_all(w->board, &runs);
    for (size_t i = 0; i < n; i++) {
        hand_over(w, runs[i]);
    }
    free(runs);
    pthread_mutex_lock(&w->lock);
    w->finishing = true;
    pthread_mutex_unlock(&w->lock);
    uv_async_send(&w->wake);
}

void remote_destroy(struct remote_write *w) {
    if (w->started) {
        pthread_join(w->thread, NULL);
        CHECK(uv_loop_close(&w->loop) == 0);
    }
    for (size_t i = 0; i < w->ended.n; i++) {
        snapshot_unref(w->ended.at[i]);
    }
    endpoints_destroy(w->configured);
    endpoints_destroy(w->endpoints);
    reader_close(w->reader);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->reader_lock);
    free(w->data);
    free(w);
}
