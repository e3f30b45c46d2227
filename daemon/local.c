#include "daemon/local.h"

#include "base/memory.h"
#include "daemon/conn.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_MAX 256 // connected, but not yet seen by the loop

struct local {
    pthread_mutex_t lock;
    int waiting[WAITING_MAX];
    size_t n;
    bool refusing;
};

struct local *local_create(struct app *app) {
    (void)app;
    struct local *l = NEW(struct local);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void local_destroy(struct local *l) {
    if (l) {
        pthread_mutex_destroy(&l->lock);
        free(l);
    }
}

int local_connect(void *context, char message[256]) {
    struct app *app = context;
    struct local *l = app->local;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        snprintf(message, 256, "no socket for a session: %s", strerror(errno));
        return -1;
    }
    pthread_mutex_lock(&l->lock);
    bool taken = !l->refusing && l->n < WAITING_MAX;
    if (taken) {
        l->waiting[l->n++] = pair[1];
        uv_async_send(&app->command);
    } else {
        snprintf(message, 256, l->refusing ? "the daemon is stopping" : "too many begin at once");
    }
    pthread_mutex_unlock(&l->lock);
    if (!taken) {
        close(pair[0]);
        close(pair[1]);
    }
    return taken ? pair[0] : -1;
}

void local_take(struct app *app) {
    struct local *l = app->local;
    int taken[WAITING_MAX];
    pthread_mutex_lock(&l->lock);
    size_t n = l->n;
    memcpy(taken, l->waiting, n * sizeof *taken);
    l->n = 0;
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < n; i++) {
        conn_adopt(app, taken[i]);
    }
}

void local_refuse_all(struct app *app) {
    struct local *l = app->local;
    pthread_mutex_lock(&l->lock);
    l->refusing = true;
    while (l->n) {
        close(l->waiting[--l->n]);
    }
    pthread_mutex_unlock(&l->lock);
}
