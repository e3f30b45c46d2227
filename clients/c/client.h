// What the calls of the job and the client's thread share.
#ifndef CLIENTS_C_CLIENT_H
#define CLIENTS_C_CLIENT_H

#include <locale.h>
#include <pthread.h>
#include <sys/types.h>

#include "clients/c/address.h"
#include "clients/c/pyrometer.h"
#include "clients/c/queue.h"
#include "clients/c/spool.h"

enum { PYR_ERROR_MAX = 512 };

struct pyrometer {
    // Fixed once the thread runs.
    pid_t owner;
    char *server; // as configured, for messages
    struct pyr_address address;
    struct pyr_text hello_first, hello_again;
    int64_t rewind_step; // INT64_MAX: no rewind
    size_t layer_count;
    bool lines_only;           // no binary frames, whatever the daemon reads
    locale_t locale;           // "C"
    pyrometer_alert *on_alert; // or NULL; called by the thread
    void *alert_context;
    pthread_t thread;
    // An eventfd, written when the thread has something to do. The thread opens another when the
    // job closed it.
    _Atomic int wake_fd;
    // Written by the thread; read by pyrometer_close() in a forked child.
    _Atomic int fd;

    // The thread's own (clients/c/backlog.h).
    struct pyr_spool *spool; // NULL: nothing goes to disk
    struct pyr_queue flight; // the spool's oldest segment, on its way
    bool in_flight;          // it is that segment

    pthread_mutex_t lock;   // guards the rest, never held while anything waits
    pthread_cond_t changed; // the queue got empty, the daemon refused for good, the thread ended
    struct pyr_queue queue;
    struct pyrometer_counters counters;
    char error[PYR_ERROR_MAX];
    bool spooling;     // the spool holds something
    bool spool_failed; // the disk takes nothing more
    uint64_t spool_dropped;
    bool stop;             // pyrometer_close() was called
    bool ended;            // the end was queued
    int64_t event_time_us; // of the newest event
    bool done;             // the thread is over
    bool abandoned;        // pyrometer_close() did not wait for the thread: it frees this
};

// The thread: connects, sends and settles until it is told to stop, refused, or the end has
// arrived.
void *pyr_link_run(void *client);

int pyr_client_wake_fd(void);
void pyr_client_wake(struct pyrometer *p);
void pyr_client_free(struct pyrometer *p);

#endif
