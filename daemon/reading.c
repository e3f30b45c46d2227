#include "daemon/reading.h"

#include "base/log.h"
#include "runs/waypoint.h"
#include "storage/blob.h"

// A blob has the names of all metrics and a double for each body; bounded by the run's layers.
#define BLOB_BYTES_MAX ((size_t)1 << 30)

struct op *reading_op(const struct run *r) {
    struct step reading;
    struct buf blob;
    struct op *op = NULL;
    step_init(&reading);
    buf_init(&blob, BLOB_BYTES_MAX);
    if (readings_print(&r->readings, r->thermo, &reading)) {
        reading.time = r->time;
        if (blob_encode(&reading, &blob)) {
            op = op_take(OP_READING, r->record.id, r->attempt, stepset_last(&r->steps), &blob);
        }
    }
    if (!op) {
        log_error("no memory for the readings at step %lld of run=%s",
                  (long long)stepset_last(&r->steps), r->record.name);
    }
    buf_free(&blob);
    step_free(&reading);
    return op;
}

struct op *waypoint_op(const struct run *r) {
    struct buf state;
    buf_init(&state, BLOB_BYTES_MAX);
    waypoint_save(r, &state);
    struct op *op = state.failed ? NULL
                                 : op_take(OP_WAYPOINT, r->record.id, r->attempt,
                                           stepset_last(&r->steps), &state);
    buf_free(&state);
    return op;
}
