#include "daemon/op.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct op *op_create(enum op_type type, int64_t run, int64_t attempt, int64_t step,
                     const void *blob, size_t blob_size) {
    struct op *op = must_grow(NULL, sizeof *op + blob_size); // bounded by the largest message
    *op = (struct op){
        .type = type, .run = run, .attempt = attempt, .step = step, .blob_size = blob_size};
    op->blob = op->copied;
    if (blob_size) {
        memcpy(op->copied, blob, blob_size);
    }
    return op;
}

struct op *op_take(enum op_type type, int64_t run, int64_t attempt, int64_t step,
                   struct buf *blob) {
    struct op *op = op_create(type, run, attempt, step, NULL, 0);
    op->blob = op->taken = blob->data;
    op->blob_size = blob->len;
    buf_init(blob, blob->max);
    return op;
}

void op_destroy(struct op *op) {
    if (op->also) {
        op_destroy(op->also);
    }
    switch (op->type) {
    case OP_RUN:
        run_record_free(&op->run_row);
        break;
    case OP_ATTEMPT:
        attempt_record_free(&op->attempt_row);
        break;
    case OP_EVENT:
        event_record_free(&op->event);
        break;
    case OP_OUTPUTS:
        outputs_record_free(&op->outputs);
        break;
    case OP_ALERT:
    case OP_ACKNOWLEDGE:
        alert_record_free(&op->alert);
        break;
    case OP_SILENCE:
    case OP_END_SILENCE:
        silence_record_free(&op->silence);
        break;
    case OP_STEP:
    case OP_SCALARS:
    case OP_READING:
    case OP_CHECKPOINT:
    case OP_WAYPOINT:
    case OP_PROGRESS:
    case OP_DELETE_RUN:
    case OP_NOTICE_DONE:
        break;
    }
    free(op->taken);
    free(op);
}

static size_t text_bytes(const char *text) {
    return text ? strlen(text) + 1 : 0;
}

// The long texts; what they leave out is bounded by names' lengths.
static size_t record_bytes(const struct op *op) {
    switch (op->type) {
    case OP_RUN:
        return text_bytes(op->run_row.facts);
    case OP_ATTEMPT:
        return text_bytes(op->attempt_row.facts);
    case OP_EVENT:
        return text_bytes(op->event.name) + text_bytes(op->event.data);
    case OP_OUTPUTS:
        return text_bytes(op->outputs.line);
    case OP_ALERT:
        return text_bytes(op->alert.summary) + text_bytes(op->alert.receivers);
    case OP_SILENCE:
        return text_bytes(op->silence.comment) + text_bytes(op->silence.matchers);
    case OP_END_SILENCE:
    case OP_NOTICE_DONE:
    case OP_ACKNOWLEDGE:
    case OP_STEP:
    case OP_SCALARS:
    case OP_READING:
    case OP_CHECKPOINT:
    case OP_WAYPOINT:
    case OP_PROGRESS:
    case OP_DELETE_RUN:
        return 0;
    }
    return 0;
}

size_t op_bytes(const struct op *op) {
    size_t also = op->also ? op_bytes(op->also) : 0;
    return sizeof *op + op->blob_size + record_bytes(op) + also;
}

char *op_text(const char *text) {
    return must_copy(text);
}
