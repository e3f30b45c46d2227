#include "remote/queue.h"

#include "base/check.h"

#include <stdlib.h>

void queue_init(struct queue *q, size_t max_bytes) {
    *q = (struct queue){.max_bytes = max_bytes};
    q->last = &q->first;
}

void queue_push(struct queue *q, char *bytes, size_t size, uint64_t n_samples) {
    struct queued *m = NEW(struct queued);
    *m = (struct queued){.bytes = bytes, .size = size, .n_samples = n_samples};
    *q->last = m;
    q->last = &m->next;
    q->bytes += size;
    q->n_samples += n_samples;
}

static uint64_t drop(struct queue *q, struct queued **at) {
    struct queued *m = *at;
    uint64_t n_samples = m->n_samples;
    *at = m->next;
    q->last = m->next ? q->last : at;
    q->bytes -= m->size;
    q->n_samples -= n_samples;
    free(m->bytes);
    free(m);
    return n_samples;
}

uint64_t queue_pop(struct queue *q) {
    CHECK(q->first);
    return drop(q, &q->first);
}

uint64_t queue_shed(struct queue *q, bool first_is_being_sent) {
    uint64_t n_samples = 0;
    struct queued **at = first_is_being_sent ? &q->first->next : &q->first;
    while (q->bytes > q->max_bytes && *at) {
        n_samples += drop(q, at);
    }
    return n_samples;
}

uint64_t queue_clear(struct queue *q) {
    uint64_t n_samples = 0;
    while (q->first) {
        n_samples += drop(q, &q->first);
    }
    return n_samples;
}
