// What one rank sent and what waits for the other ranks: its messages in order, steps as blobs.
// Loop thread.
#ifndef DAEMON_RANK_QUEUE_H
#define DAEMON_RANK_QUEUE_H

#include "wire/message.h"
#include "wire/outputs.h"
#include "wire/step.h"

#include <stdbool.h>

struct app;

enum rank_item_type { RANK_STEP, RANK_SCALARS, RANK_EVENT, RANK_OUTPUTS, RANK_END };

struct rank_item {
    struct rank_item *next;
    enum rank_item_type type;
    int64_t step;        // of steps and scalars
    uint64_t arrived_ns; // monotonic
    struct event event;
    struct outputs outputs;
    const char *status; // of RANK_END, static
    size_t size;        // of the blob
    unsigned char blob[];
};

struct rank_queue {
    struct rank_item *first, *last;
    size_t n;
};

// Appends; its bytes are counted in app->rank_bytes. False: there is no memory for the step.
bool rank_queue_step(struct rank_queue *q, struct app *app, enum rank_item_type type,
                     const struct step *step);
// Takes over the event's strings.
void rank_queue_event(struct rank_queue *q, struct app *app, struct event *event);
// Takes over its memory.
void rank_queue_outputs(struct rank_queue *q, struct app *app, struct outputs *outputs);
void rank_queue_end(struct rank_queue *q, struct app *app, const char *status);
// The first item's step, into the caller's.
bool rank_queue_read(const struct rank_queue *q, struct step *out);
// Frees the first item.
void rank_queue_pop(struct rank_queue *q, struct app *app);
void rank_queue_clear(struct rank_queue *q, struct app *app);

#endif
