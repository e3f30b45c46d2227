#include "api/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define LONG_NICE 10

struct queue {
    struct work *first, **tail;
};

struct worker {
    struct workers *all;
    pthread_t thread;
    struct reader *reader;
    bool short_only, started;
    atomic_bool busy;
    _Atomic uint64_t beats;
    uint64_t seen; // beats at the last look
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct queue brief, lengthy;
    bool stopping;
    size_t n;
    struct worker at[];
};

static _Thread_local struct worker *self;

void workers_progress(void) {
    if (self) {
        atomic_fetch_add_explicit(&self->beats, 1, memory_order_relaxed);
    }
}

static struct work *pop(struct queue *q) {
    struct work *w = q->first;
    if (w) {
        q->first = w->next;
        q->tail = q->first ? q->tail : &q->first;
    }
    return w;
}

// The next work for this thread; NULL when there will be none.
static struct work *next_work(struct worker *me) {
    struct workers *all = me->all;
    struct work *work = NULL;
    pthread_mutex_lock(&all->lock);
    for (;;) {
        work = pop(&all->brief);
        work = work || me->short_only ? work : pop(&all->lengthy);
        if (work || all->stopping) {
            break;
        }
        pthread_cond_wait(&all->changed, &all->lock);
    }
    pthread_mutex_unlock(&all->lock);
    return work;
}

static void *run_worker(void *argument) {
    struct worker *me = argument;
    struct work *work;
    self = me;
    if (!me->short_only) {
        // Long work leaves the cores to jobs and short answers. Linux: both of this thread alone.
        prctl(PR_SET_NAME, "long work");
        setpriority(PRIO_PROCESS, 0, LONG_NICE);
    }
    while ((work = next_work(me))) {
        atomic_store(&me->busy, true);
        work->run(work, me->reader);
        atomic_store(&me->busy, false);
        workers_progress();
    }
    return NULL;
}

bool workers_add(struct workers *w, struct work *work) {
    pthread_mutex_lock(&w->lock);
    bool taken = !w->stopping;
    if (taken) {
        struct queue *q = work->is_long ? &w->lengthy : &w->brief;
        work->next = NULL;
        *q->tail = work;
        q->tail = &work->next;
        // Whoever is woken may be the one that takes short work only.
        work->is_long ? pthread_cond_broadcast(&w->changed) : pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return taken;
}

bool workers_are_well(struct workers *w) {
    bool well = true;
    for (size_t i = 0; i < w->n; i++) {
        struct worker *one = &w->at[i];
        uint64_t beats = atomic_load(&one->beats);
        well = well && (!atomic_load(&one->busy) || beats != one->seen);
        one->seen = beats;
    }
    return well;
}

int workers_start(struct workers **out, size_t n, const char *directory, struct buf *error) {
    struct workers *w = must_alloc(sizeof *w + n * sizeof w->at[0]);
    *out = w;
    w->n = n;
    w->brief.tail = &w->brief.first;
    w->lengthy.tail = &w->lengthy.first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    for (size_t i = 0; i < n; i++) {
        w->at[i].all = w;
        w->at[i].short_only = i == 0 && n > 1;
        if (reader_open(&w->at[i].reader, directory, error)) {
            return -1;
        }
        if (pthread_create(&w->at[i].thread, NULL, run_worker, &w->at[i])) {
            buf_puts(error, "cannot start a thread that reads the store for HTTP");
            return -1;
        }
        w->at[i].started = true;
    }
    return 0;
}

void workers_stop(struct workers *w) {
    if (!w) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        if (w->at[i].started) {
            pthread_join(w->at[i].thread, NULL);
            w->at[i].started = false;
        }
        reader_close(w->at[i].reader);
        w->at[i].reader = NULL;
    }
}

void workers_destroy(struct workers *w) {
    if (w) {
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->changed);
        free(w);
    }
}
