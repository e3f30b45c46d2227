// What the threads of the API share. Private to api/.
#ifndef API_SERVER_H
#define API_SERVER_H

#include "api/api.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct reading_cache;
struct relay;
struct shelf;
struct metrics_watch;
struct workers;

struct api {
    struct api_config config;
    pthread_mutex_t token_lock;
    char *token;    // copied; NULL: none is wanted
    char **origins; // copied
    struct board *board;
    struct workers *workers;
    struct relay *relay;
    struct MHD_Daemon *daemon;
    char address[300];
    struct reading_cache *readings;
    struct shelf *shelf;
    struct metrics_watch *metrics;
    _Atomic unsigned streams, exports; // open
    unsigned max_streams;
    // Heartbeat: a thread that waits for requests is well; one that answers one shows its progress.
    _Atomic uint64_t beats;
    uint64_t seen_beats, heartbeat;
    atomic_bool busy, stopping;
    pthread_t herald; // wakes the streams
};

// Long work calls it now and then, on its thread. False when it should break off, for the daemon
// stops.
bool api_progress(struct api *a);

#endif
