#include "daemon/op.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct op *op_create(enum op_type type, int64_t run, int64_t attempt, int64_t step,
                     const void *blob, size_t blob_size) {
    struct op *op = malloc(sizeof *op + blob_size);
    CHECK(op != NULL); // blob_size is bounded by the largest message
    *op = (struct op){
        .type = type, .run = run, .attempt = attempt, .step = step, .blob_size = blob_size};
    if (blob_size) {
        memcpy(op->blob, blob, blob_size);
    }
    return op;
}

void op_destroy(struct op *op) {
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
    case OP_ALERT:
    case OP_ACKNOWLEDGE:
        alert_record_free(&op->alert);
        break;
    case OP_STEP:
    case OP_SCALARS:
    case OP_CHECKPOINT:
    case OP_PROGRESS:
    case OP_DELETE_RUN:
        break;
    }
    free(op);
}

size_t op_bytes(const struct op *op) {
    return sizeof *op + op->blob_size;
}

char *op_text(const char *text) {
    char *copy = text ? strdup(text) : NULL;
    CHECK(copy || !text);
    return copy;
}
