// What the loop asks the writer to store: one operation each, in the order in which things
// happened.
#ifndef DAEMON_OP_H
#define DAEMON_OP_H

#include "base/buf.h"
#include "storage/outbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_type {
    OP_STEP,        // blob; progress
    OP_SCALARS,     // blob
    OP_READING,     // blob
    OP_CHECKPOINT,  // blob
    OP_WAYPOINT,    // blob
    OP_RUN,         // run
    OP_ATTEMPT,     // attempt_row
    OP_EVENT,       // event
    OP_OUTPUTS,     // outputs
    OP_ALERT,       // alert, cancelled
    OP_PROGRESS,    // progress
    OP_ACKNOWLEDGE, // alert.id, alert.changed
    OP_DELETE_RUN,
    OP_NOTICE_DONE, // notice
    OP_SILENCE,     // silence
    OP_END_SILENCE  // silence.id, silence.ends
};

struct op {
    struct op *next;
    uint64_t pushed_ns; // monotonic, when it was queued
    uint64_t sequence;  // given by writer_push
    enum op_type type;
    int64_t run, attempt, step;
    struct run_progress progress;
    union {
        struct run_record run_row;
        struct attempt_record attempt_row;
        struct event_record event;
        struct outputs_record outputs;
        struct alert_record alert;
        struct silence_record silence;
        int64_t notice; // of the outbox
    };
    bool cancelled;
    struct op *also; // what follows from it (attempts, events, readings, waypoints): written in the
                     // same transaction, freed with it
    const void *blob;
    size_t blob_size;
    void *taken;            // what the blob lies in when it is not `copied`
    unsigned char copied[]; // the blob, otherwise
};

// All zero but for these; the blob is copied. Records' strings belong to the op.
struct op *op_create(enum op_type type, int64_t run, int64_t attempt, int64_t step,
                     const void *blob, size_t blob_size);
// The same without a copy, for what is large: takes over the buffer's memory and leaves it empty.
struct op *op_take(enum op_type type, int64_t run, int64_t attempt, int64_t step, struct buf *blob);
void op_destroy(struct op *op);
// The memory it holds, for the bound on the queue.
size_t op_bytes(const struct op *op);
// A copy of a text for an op's record; NULL stays NULL.
char *op_text(const char *text);

#endif
