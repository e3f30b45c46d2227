// What the HTTP thread works with. Private to api/.
#ifndef API_SERVER_H
#define API_SERVER_H

#include "api/api.h"
#include "storage/reader.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct reading_cache;

struct api {
    struct api_config config;
    char *token; // copied; NULL: none is wanted
    struct board *board;
    struct reader *reader;
    struct MHD_Daemon *daemon;
    char address[300];
    struct reading_cache *readings;
    unsigned streams, max_streams; // open, at most
    // Heartbeat: a thread that waits for requests is well; one that answers one shows its progress.
    _Atomic uint64_t beats;
    atomic_bool busy, stopping;
    // Makes streams show a sign of life.
    pthread_t beater;
    pthread_mutex_t beater_lock;
    pthread_cond_t beater_stop;
};

// Long work calls it now and then. False when it should break off, for the daemon stops.
static inline bool api_progress(struct api *a) {
    atomic_fetch_add_explicit(&a->beats, 1, memory_order_relaxed);
    return !atomic_load_explicit(&a->stopping, memory_order_relaxed);
}

#endif
