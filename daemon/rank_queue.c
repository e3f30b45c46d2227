#include "daemon/rank_queue.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/app.h"
#include "storage/blob.h"

#include <stdlib.h>
#include <string.h>

static size_t item_bytes(const struct rank_item *item) {
    size_t data = item->event.data ? strlen(item->event.data) : 0;
    size_t outputs = (item->outputs.n_bins + item->outputs.n_counts) * sizeof(double);
    return sizeof *item + item->size + data + outputs;
}

static void append(struct rank_queue *q, struct app *app, struct rank_item *item) {
    item->arrived_ns = clock_monotonic_ns();
    if (q->last) {
        q->last->next = item;
    } else {
        q->first = item;
    }
    q->last = item;
    q->n++;
    app->rank_bytes += item_bytes(item);
}

bool rank_queue_step(struct rank_queue *q, struct app *app, enum rank_item_type type,
                     const struct step *step) {
    struct buf *blob = &app->blob;
    buf_clear(blob);
    if (!blob_encode(step, blob)) {
        log_error("no memory for step %lld of a rank", (long long)step->step);
        return false;
    }
    struct rank_item *item = must_alloc(sizeof *item + blob->len);
    item->type = type;
    item->step = step->step;
    item->size = blob->len;
    memcpy(item->blob, blob->data, blob->len);
    append(q, app, item);
    return true;
}

void rank_queue_event(struct rank_queue *q, struct app *app, struct event *event) {
    struct rank_item *item = NEW(struct rank_item);
    item->type = RANK_EVENT;
    item->event = *event;
    *event = (struct event){.step = -1};
    append(q, app, item);
}

void rank_queue_outputs(struct rank_queue *q, struct app *app, struct outputs *outputs) {
    struct rank_item *item = NEW(struct rank_item);
    item->type = RANK_OUTPUTS;
    item->outputs = *outputs;
    *outputs = (struct outputs){0};
    append(q, app, item);
}

void rank_queue_end(struct rank_queue *q, struct app *app, const char *status) {
    struct rank_item *item = NEW(struct rank_item);
    item->type = RANK_END;
    item->status = status;
    append(q, app, item);
}

bool rank_queue_read(const struct rank_queue *q, struct step *out) {
    bool ok = blob_decode(q->first->blob, q->first->size, out);
    CHECK(ok || out->no_memory);
    out->step = q->first->step;
    return ok;
}

void rank_queue_pop(struct rank_queue *q, struct app *app) {
    struct rank_item *item = q->first;
    q->first = item->next;
    q->last = q->first ? q->last : NULL;
    q->n--;
    app->rank_bytes -= item_bytes(item);
    app->ranks_moved = true;
    event_free(&item->event);
    outputs_free(&item->outputs);
    free(item);
}

void rank_queue_clear(struct rank_queue *q, struct app *app) {
    while (q->first) {
        rank_queue_pop(q, app);
    }
}
