#define _GNU_SOURCE // gettid

#include "daemon/packer.h"

#include "base/check.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

// Its share of a core that others want.
#define NICE 10
#define ERROR_BYTES 1024

struct packer {
    pthread_t thread;
    char *directory;
    void (*ready)(void *);
    void *context;

    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t changed;
    enum packer_state state;
    bool stopping;

    // The thread's own while it works, else the writer's.
    struct compactor *compactor; // opened when first needed
    struct parcel parcel;
    struct buf error;
};

static enum packer_state look(struct packer *p) {
    buf_clear(&p->error);
    if (!p->compactor && compactor_open(&p->compactor, p->directory, &p->error)) {
        return PACKER_FAILED;
    }
    int rc = compactor_prepare(p->compactor, &p->parcel);
    if (rc < 0) {
        buf_puts(&p->error, compactor_error(p->compactor));
    }
    return rc < 0 ? PACKER_FAILED : rc ? PACKER_READY : PACKER_NOTHING;
}

static void *run_packer(void *argument) {
    struct packer *p = argument;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); // at worst it does not give way
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        while (p->state != PACKER_WORKING && !p->stopping) {
            pthread_cond_wait(&p->changed, &p->mutex);
        }
        if (p->stopping) {
            break;
        }
        pthread_mutex_unlock(&p->mutex);
        enum packer_state state = look(p);
        pthread_mutex_lock(&p->mutex);
        p->state = state;
        pthread_cond_signal(&p->changed);
        pthread_mutex_unlock(&p->mutex);
        p->ready(p->context);
        pthread_mutex_lock(&p->mutex);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

struct packer *packer_start(const char *directory, void (*ready)(void *), void *context) {
    struct packer *p = NEW(struct packer);
    p->directory = must_copy(directory);
    p->ready = ready;
    p->context = context;
    parcel_init(&p->parcel);
    buf_init(&p->error, ERROR_BYTES);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    int rc;
    do {
        rc = pthread_create(&p->thread, NULL, run_packer, p);
    } while (rc && memory_let_go());
    CHECK(rc == 0);
    return p;
}

void packer_ask(struct packer *p) {
    pthread_mutex_lock(&p->mutex);
    CHECK(p->state != PACKER_WORKING);
    p->state = PACKER_WORKING;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

enum packer_state packer_look(struct packer *p) {
    pthread_mutex_lock(&p->mutex);
    enum packer_state state = p->state;
    pthread_mutex_unlock(&p->mutex);
    return state;
}

struct parcel *packer_parcel(struct packer *p) {
    return &p->parcel;
}

const char *packer_error(struct packer *p) {
    return buf_str(&p->error);
}

void packer_wait(struct packer *p) {
    pthread_mutex_lock(&p->mutex);
    while (p->state == PACKER_WORKING) {
        pthread_cond_wait(&p->changed, &p->mutex);
    }
    pthread_mutex_unlock(&p->mutex);
}

void packer_stop(struct packer *p) {
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    pthread_join(p->thread, NULL);
    compactor_close(p->compactor);
    parcel_free(&p->parcel);
    buf_free(&p->error);
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->changed);
    free(p->directory);
    free(p);
}
