#include "daemon/writer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/packer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// One transaction: long enough to share a sync among many steps, short enough to be acknowledged
// soon.
#define BATCH_BYTES (8u << 20)
#define RETRY_S 1
// Where more than GATHER_MIN waits when a transaction could begin, steps come faster than they are
// written: it waits for GATHER_BYTES, but for no longer than GATHER_NS behind its first, since many
// small transactions write the same pages again and sync more often.
#define GATHER_MIN (64u << 10)
#define GATHER_BYTES (1u << 20)
#define GATHER_NS UINT64_C(10000000)
// Where more than so many bytes came in the last such time, packing waits for less, or until the
// store is behind with it.
#define BUSY_BYTES (2u << 20)
#define BUSY_NS UINT64_C(250000000)
// The store's upkeep runs while the queue is empty and little comes, this often when it found
// nothing to do, and between batches when much is waiting for it. What takes long of it, packing,
// is the packer's; it is asked as often.
#define UPKEEP_PAUSE_NS UINT64_C(250000000)
#define UPKEEP_IDLE_NS UINT64_C(1500000000)
#define UPKEEP_RETRY_NS UINT64_C(10000000000)

struct writer {
    pthread_t thread;
    struct store *store;
    struct board_figures *figures;
    uint64_t group_ns; // the longest a transaction is kept open for more to join it
    void (*wake)(void *);
    void *context;

    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t changed;
    struct op *head, **tail;
    uint64_t pushed;
    size_t queued_bytes;
    size_t wanted_bytes; // that the writer waits for
    struct written done;
    uint64_t heartbeat;
    bool has_answer; // the packer, that was not taken yet
    bool stopping;
    double deadline_s; // of stopping, monotonic

    // The writer thread's own.
    struct written_run *runs; // durable with the transaction at hand
    struct run_progress *progress;
    size_t n_runs, cap_runs;
    bool in_trouble;
    struct packer *packer;
    int64_t backlog_asked; // what waited to be packed when the packer was asked
    bool has_unpacked;     // something was written since
    bool asked_when_idle;  // and once more when it had become quiet
    uint64_t upkeep_ns;    // when the store's upkeep is due, monotonic
    uint64_t retry_ns;     // not before then: it failed
    uint64_t written_ns;   // the last commit
    uint64_t counted_ns;   // since when bytes are counted
    size_t counted_bytes;
    bool is_busy; // of the time before
};

static double monotonic_s(void) {
    return (double)clock_monotonic_ns() * 1e-9;
}

// Remembers how far the op brings its run. Ops of one run mostly stand together: look from the end.
static void note_progress(struct writer *w, const struct op *op) {
    size_t i = w->n_runs;
    while (i > 0 && w->runs[i - 1].run != op->run) {
        i--;
    }
    if (i == 0) {
        if (w->n_runs == w->cap_runs) {
            w->cap_runs = w->cap_runs ? 2 * w->cap_runs : 64;
            w->runs = must_grow(w->runs, w->cap_runs * sizeof *w->runs);
            w->progress = must_grow(w->progress, w->cap_runs * sizeof *w->progress);
        }
        i = ++w->n_runs;
    }
    w->runs[i - 1] = (struct written_run){op->run, op->attempt, op->progress.last_step};
    w->progress[i - 1] = op->progress;
}

static void forget_progress(struct writer *w, int64_t run) {
    for (size_t i = 0; i < w->n_runs; i++) {
        if (w->runs[i].run == run) {
            w->n_runs--;
            w->runs[i] = w->runs[w->n_runs];
            w->progress[i] = w->progress[w->n_runs];
            return;
        }
    }
}

static int apply(struct writer *w, struct op *op) {
    struct store *s = w->store;
    switch (op->type) {
    case OP_STEP:
        note_progress(w, op);
        return store_put_step(s, op->attempt, op->step, op->blob, op->blob_size);
    case OP_PROGRESS:
        note_progress(w, op);
        return 0;
    case OP_SCALARS:
        return store_put_scalars(s, op->attempt, op->step, op->blob, op->blob_size);
    case OP_READING:
        return store_put_reading(s, op->attempt, op->step, op->blob, op->blob_size);
    case OP_CHECKPOINT:
        return store_put_checkpoint(s, op->run, op->attempt, op->step, op->blob, op->blob_size);
    case OP_WAYPOINT:
        return store_put_waypoint(s, op->run, op->attempt, op->step, op->blob, op->blob_size);
    case OP_RUN:
        return store_put_run(s, &op->run_row);
    case OP_ATTEMPT:
        return store_put_attempt(s, &op->attempt_row);
    case OP_EVENT:
        return store_put_event(s, &op->event);
    case OP_OUTPUTS:
        return store_put_outputs(s, &op->outputs);
    case OP_ALERT:
        return store_put_alert(s, &op->alert, op->cancelled);
    case OP_ACKNOWLEDGE:
        return store_acknowledge_alert(s, op->alert.id, op->alert.changed);
    case OP_NOTICE_DONE:
        return store_delete_notice(s, op->notice);
    case OP_SILENCE:
        return store_put_silence(s, &op->silence);
    case OP_END_SILENCE:
        return store_end_silence(s, op->silence.id, op->silence.ends);
    case OP_DELETE_RUN:
        forget_progress(w, op->run);
        return store_delete_run(s, op->run);
    }
    return -1;
}

// One transaction of the batch's ops, or of as many as can be written before the first has waited
// its time. *last: the last one in it.
static int write_batch(struct writer *w, struct op *batch, struct op **last) {
    uint64_t until = clock_monotonic_ns() + w->group_ns;
    w->n_runs = 0;
    if (store_begin(w->store)) {
        return -1;
    }
    for (struct op *op = batch; op; op = op->next) {
        for (struct op *one = op; one; one = one->also) {
            if (apply(w, one)) {
                return -1;
            }
        }
        *last = op;
        if (clock_monotonic_ns() > until) {
            break;
        }
    }
    for (size_t i = 0; i < w->n_runs; i++) {
        if (store_put_progress(w->store, &w->progress[i])) {
            return -1;
        }
    }
    return store_commit(w->store);
}

static void count_commit(struct board_figures *f, uint64_t nanoseconds) {
    unsigned bucket = 0;
    while (bucket < BOARD_COMMIT_BOUNDS &&
           (double)nanoseconds * 1e-9 > board_commit_bounds_s[bucket]) {
        bucket++;
    }
    f->commit_seconds_bucket[bucket]++;
    f->commit_nanoseconds += nanoseconds;
    f->commits++;
}

// On the packer's thread.
static void note_answer(void *context) {
    struct writer *w = context;
    pthread_mutex_lock(&w->mutex);
    w->has_answer = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

static bool has_answer(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    bool is_there = w->has_answer;
    pthread_mutex_unlock(&w->mutex);
    return is_there;
}

static enum packer_state hear_packer(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    w->has_answer = false;
    pthread_mutex_unlock(&w->mutex);
    return packer_look(w->packer); // behind the above: what is answered now is looked at
}

static bool is_idle(const struct writer *w) {
    return clock_monotonic_ns() - w->written_ns > UPKEEP_IDLE_NS;
}

static void ask_packer(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    w->heartbeat++;
    pthread_mutex_unlock(&w->mutex);
    w->backlog_asked = store_backlog_bytes(w->store);
    w->has_unpacked = false;
    packer_ask(w->packer);
}

// Takes the packer's answer and asks it again. 1 when a parcel was put into the store, 0, -1.
static int take_parcel(struct writer *w) {
    switch (hear_packer(w)) {
    case PACKER_WORKING:
        return 0;
    case PACKER_READY:
        if (store_install(w->store, packer_parcel(w->packer)) < 0) {
            log_warning("packing failed, it is tried again: %s", store_error(w->store));
            return -1;
        }
        ask_packer(w);
        store_checkpoint(w->store);
        return 1;
    case PACKER_FAILED:
        log_warning("packing failed, it is tried again: %s", packer_error(w->packer));
        ask_packer(w);
        return -1;
    case PACKER_NOTHING:
        store_note_packed(w->store, w->backlog_asked);
        w->backlog_asked = 0;
        break;
    case PACKER_RESTING:
        break;
    }
    bool idle = is_idle(w);
    if (w->has_unpacked || (idle && !w->asked_when_idle)) {
        ask_packer(w);
    }
    w->asked_when_idle = idle;
    return 0;
}

static int tidy(struct writer *w) {
    bool idle = is_idle(w) && packer_look(w->packer) == PACKER_NOTHING;
    int rc = store_tidy(w->store, idle);
    store_checkpoint(w->store);
    if (rc < 0) {
        log_warning("the store's upkeep failed, it is tried again: %s", store_error(w->store));
    }
    return rc;
}

// Bytes a time: whether packing would be in the way of what comes.
static void count_load(struct writer *w, size_t bytes) {
    uint64_t now = clock_monotonic_ns();
    if (now - w->counted_ns >= BUSY_NS) {
        w->is_busy = now - w->counted_ns < 2 * BUSY_NS && w->counted_bytes > BUSY_BYTES;
        w->counted_ns = now;
        w->counted_bytes = 0;
    }
    w->counted_bytes += bytes;
}

static bool is_busy(struct writer *w) {
    count_load(w, 0);
    return w->is_busy || w->counted_bytes > BUSY_BYTES;
}

// Whether there is to be no upkeep for a while, whatever the packer has.
static bool rests(struct writer *w) {
    return w->in_trouble || clock_monotonic_ns() < w->retry_ns ||
           (is_busy(w) && !store_is_behind(w->store));
}

// A piece of the store's upkeep, when it is due. True when more may be due at once.
static bool upkeep(struct writer *w) {
    uint64_t now = clock_monotonic_ns();
    if (rests(w) || (now < w->upkeep_ns && !has_answer(w))) {
        return false;
    }
    int rc = take_parcel(w);
    rc = rc ? rc : tidy(w);
    w->upkeep_ns = rc > 0 ? 0 : now + UPKEEP_PAUSE_NS;
    w->retry_ns = rc < 0 ? now + UPKEEP_RETRY_NS : 0;
    return rc > 0;
}

// Between batches, where so much is waiting to be packed that it should not wait for quiet.
static void upkeep_under_load(struct writer *w) {
    if (!store_is_behind(w->store)) {
        return;
    }
    bool more;
    do {
        if (store_is_far_behind(w->store)) {
            packer_wait(w->packer);
        }
        more = upkeep(w);
    } while (more && store_is_far_behind(w->store));
}

// With the mutex, for so long at most.
static void wait_for_change(struct writer *w, uint64_t nanoseconds) {
    uint64_t end = clock_monotonic_ns() + nanoseconds;
    const struct timespec until = {.tv_sec = (time_t)(end / 1000000000),
                                   .tv_nsec = (long)(end % 1000000000)};
    pthread_cond_timedwait(&w->changed, &w->mutex, &until);
}

static bool has_gathered(const struct writer *w, uint64_t since) {
    return w->stopping || w->queued_bytes <= GATHER_MIN || w->queued_bytes >= GATHER_BYTES ||
           clock_monotonic_ns() - since >= (w->group_ns < GATHER_NS ? w->group_ns : GATHER_NS);
}

// With the mutex.
static void gather(struct writer *w) {
    uint64_t since = w->head ? w->head->pushed_ns : 0;
    w->wanted_bytes = GATHER_BYTES;
    while (w->head && !has_gathered(w, since)) {
        wait_for_change(w, GATHER_NS);
    }
    w->wanted_bytes = 0;
}

static void measure(struct writer *w) {
    w->figures->wal_bytes = (uint64_t)store_wal_bytes(w->store);
    w->figures->database_bytes = (uint64_t)store_database_bytes(w->store);
}

// Takes ops off the queue for one transaction. NULL: stopping, and nothing is left.
static struct op *take_batch(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    while (!w->head && !w->stopping) {
        pthread_mutex_unlock(&w->mutex);
        bool more = upkeep(w), resting = rests(w);
        measure(w);
        pthread_mutex_lock(&w->mutex);
        w->heartbeat++;
        if (more || w->head || w->stopping || (w->has_answer && !resting)) {
            continue;
        }
        wait_for_change(w, UINT64_C(1000000000));
        w->heartbeat++;
    }
    gather(w);
    w->heartbeat++;
    struct op *first = w->head, *last = first;
    size_t bytes = first ? op_bytes(first) : 0;
    while (last && last->next && bytes < BATCH_BYTES) {
        last = last->next;
        bytes += op_bytes(last);
    }
    if (last) {
        count_load(w, bytes);
        w->head = last->next;
        w->tail = w->head ? w->tail : &w->head;
        last->next = NULL;
    }
    pthread_mutex_unlock(&w->mutex);
    return first;
}

static void *grow(void *old, size_t n, size_t more, size_t size) {
    return must_grow(old, (n + more) * size);
}

// Hands the outcome to the loop and frees the ops but for the alerts, which travel on. `rest` is
// what comes next.
static void report(struct writer *w, struct op *batch, const struct op *rest) {
    pthread_mutex_lock(&w->mutex);
    struct written *d = &w->done;
    if (w->n_runs) {
        d->runs = grow(d->runs, d->n_runs, w->n_runs, sizeof *d->runs);
        memcpy(d->runs + d->n_runs, w->runs, w->n_runs * sizeof *d->runs);
        d->n_runs += w->n_runs;
    }
    free(d->trouble);
    d->trouble = NULL;
    while (batch) {
        struct op *op = batch;
        batch = op->next;
        d->sequence = op->sequence;
        w->queued_bytes -= op_bytes(op);
        w->figures->steps_durable += op->type == OP_STEP;
        if (op->type == OP_ALERT) {
            d->alerts = grow(d->alerts, d->n_alerts, 1, sizeof *d->alerts);
            d->alerts[d->n_alerts++] = op;
        } else {
            op_destroy(op);
        }
    }
    w->figures->queue_bytes = w->queued_bytes;
    rest = rest ? rest : w->head;
    w->figures->waiting_since_ns = rest ? rest->pushed_ns : 0;
    pthread_mutex_unlock(&w->mutex);
    w->wake(w->context);
}

// False when stopping must not wait any longer.
static bool wait_to_retry(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    free(w->done.trouble);
    w->done.trouble = op_text(store_error(w->store));
    pthread_mutex_unlock(&w->mutex);
    w->wake(w->context);
    struct timespec pause = {.tv_sec = RETRY_S};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    pthread_mutex_lock(&w->mutex);
    w->heartbeat++; // waiting for the disk is what it should do now
    bool go_on = !w->stopping || monotonic_s() < w->deadline_s;
    pthread_mutex_unlock(&w->mutex);
    return go_on;
}

static void drop(struct op *batch) {
    while (batch) {
        struct op *next = batch->next;
        op_destroy(batch);
        batch = next;
    }
}

// Tries until it is written. False when stopping does not allow another try.
static bool write_surely(struct writer *w, struct op *batch, struct op **last) {
    while (write_batch(w, batch, last)) {
        store_rollback(w->store);
        w->figures->commit_failures++;
        if (!w->in_trouble) {
            log_error("cannot store in %s, nothing is acknowledged until it works again: %s",
                      store_directory(w->store), store_error(w->store));
        }
        w->in_trouble = true;
        if (!wait_to_retry(w)) {
            return false;
        }
    }
    if (w->in_trouble) {
        log_info("storing works again");
    }
    w->in_trouble = false;
    return true;
}

static void *run_writer(void *argument) {
    struct writer *w = argument;
    struct op *batch;
    while ((batch = take_batch(w))) {
        while (batch) {
            struct op *last = batch;
            uint64_t before = clock_monotonic_ns();
            if (!write_surely(w, batch, &last)) {
                drop(batch);
                return NULL;
            }
            w->written_ns = clock_monotonic_ns();
            w->has_unpacked = true;
            count_commit(w->figures, w->written_ns - before);
            measure(w);
            struct op *rest = last->next;
            last->next = NULL;
            report(w, batch, rest);
            store_checkpoint(w->store);
            upkeep_under_load(w);
            batch = rest;
        }
    }
    return NULL;
}

struct writer *writer_start(struct store *store, uint64_t group_ms, struct board_figures *figures,
                            void (*wake)(void *), void *context) {
    struct writer *w = NEW(struct writer);
    w->store = store;
    w->figures = figures;
    w->group_ns = group_ms * UINT64_C(1000000);
    w->wake = wake;
    w->context = context;
    w->tail = &w->head;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    w->has_unpacked = true; // what the last daemon left
    w->packer = packer_start(store_directory(store), note_answer, w);
    int rc;
    do {
        rc = pthread_create(&w->thread, NULL, run_writer, w);
    } while (rc && memory_let_go());
    CHECK(rc == 0);
    return w;
}

uint64_t writer_push(struct writer *w, struct op *op) {
    pthread_mutex_lock(&w->mutex);
    uint64_t sequence = op->sequence = ++w->pushed;
    *w->tail = op;
    w->tail = &op->next;
    op->pushed_ns = clock_monotonic_ns();
    if (w->queued_bytes == 0) {
        w->figures->waiting_since_ns = op->pushed_ns;
    }
    w->queued_bytes += op_bytes(op);
    w->figures->queue_bytes = w->queued_bytes;
    if (w->queued_bytes >= w->wanted_bytes) {
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->mutex);
    return sequence; // the op may be gone by now
}

size_t writer_queued_bytes(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    size_t bytes = w->queued_bytes;
    pthread_mutex_unlock(&w->mutex);
    return bytes;
}

void writer_collect(struct writer *w, struct written *out) {
    pthread_mutex_lock(&w->mutex);
    *out = w->done;
    w->done = (struct written){.sequence = out->sequence, .trouble = out->trouble};
    out->trouble = op_text(out->trouble);
    pthread_mutex_unlock(&w->mutex);
}

void written_free(struct written *w) {
    for (size_t i = 0; i < w->n_alerts; i++) {
        op_destroy(w->alerts[i]);
    }
    free(w->alerts);
    free(w->runs);
    free(w->trouble);
    *w = (struct written){0};
}

uint64_t writer_heartbeat(struct writer *w) {
    pthread_mutex_lock(&w->mutex);
    uint64_t beat = w->heartbeat;
    pthread_mutex_unlock(&w->mutex);
    return beat;
}

bool writer_stop(struct writer *w, double timeout_s) {
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    w->deadline_s = monotonic_s() + timeout_s;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    packer_stop(w->packer);
    bool all_written = !w->in_trouble;
    drop(w->head);
    written_free(&w->done);
    store_close(w->store);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    free(w->runs);
    free(w->progress);
    free(w);
    return all_written;
}
