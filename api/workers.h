// The threads that do what takes time for the HTTP thread: reads of the store, long computations,
// waiting for the loop. Each has a read-only connection of its own. Work is short or long; one
// thread takes short work only, so that a page of runs is not kept waiting by requests that walk
// whole runs.
#ifndef API_WORKERS_H
#define API_WORKERS_H

#include "base/buf.h"
#include "base/check.h"
#include "storage/reader.h"

#include <stdbool.h>
#include <stdint.h>

struct workers;

// Embedded in what is to be done; the giver's until run() is called, the callee's from then on.
struct work {
    struct work *next;
    bool is_long;
    void (*run)(struct work *work, struct reader *reader); // on a worker's thread
};

// 0, or -1 with a message.
int workers_start(struct workers **out, size_t n, const char *directory,
                  struct buf *error) WARN_UNUSED;
// False when the workers are stopping: the work stays the caller's. Any thread.
bool workers_add(struct workers *w, struct work *work);
// Called by long work now and then, on its thread: shows the progress that workers_are_well() looks
// for.
void workers_progress(void);
// False when some thread is at work and has shown no progress since the last call. One thread asks.
bool workers_are_well(struct workers *w);
// Does what is queued, joins the threads and closes their connections. Nothing is taken from now
// on. NULL is fine.
void workers_stop(struct workers *w);
void workers_destroy(struct workers *w);

#endif
