#include "clients/c/queue.h"

#include <stdlib.h>

bool pyr_queue_append(struct pyr_queue *q, struct pyr_message *m) {
    if (m->kind != PYR_END && (m->bytes > q->bytes_max || q->bytes > q->bytes_max - m->bytes)) {
        return false;
    }
    m->next = NULL;
    m->index = ++q->appended;
    if (q->tail) {
        q->tail->next = m;
    } else {
        q->head = m;
    }
    q->tail = m;
    if (!q->unsent) {
        q->unsent = m;
    }
    q->bytes += m->bytes;
    q->count++;
    return true;
}

struct pyr_message *pyr_queue_take(struct pyr_queue *q) {
    struct pyr_message *m = q->unsent;
    if (m) {
        q->unsent = m->next;
    }
    return m;
}

void pyr_queue_resend(struct pyr_queue *q) {
    for (struct pyr_message *m = q->head; m; m = m->next) {
        m->line = 0;
    }
    q->unsent = q->head;
}

void pyr_queue_push_front(struct pyr_queue *q, struct pyr_message *m) {
    if (!q->unsent || q->unsent == q->head) {
        q->unsent = m;
    }
    m->index = q->head ? q->head->index - 1 : q->appended; // above 0: it had one of those before
    m->next = q->head;
    q->head = m;
    q->tail = q->tail ? q->tail : m;
    q->bytes += m->bytes;
    q->count++;
}

bool pyr_queue_is_crowded(const struct pyr_queue *q) {
    return q->bytes > q->bytes_max / 2;
}

// `previous` stands before m, NULL when m is the head.
static void take_out(struct pyr_queue *q, struct pyr_message *previous, struct pyr_message *m) {
    if (previous) {
        previous->next = m->next;
    } else {
        q->head = m->next;
    }
    if (q->tail == m) {
        q->tail = previous;
    }
    if (q->unsent == m) {
        q->unsent = m->next;
    }
    q->bytes -= m->bytes;
    q->count--;
}

static void unlink_message(struct pyr_queue *q, struct pyr_message *previous,
                           struct pyr_message *m) {
    take_out(q, previous, m);
    free(m);
}

struct pyr_message *pyr_queue_pop(struct pyr_queue *q) {
    struct pyr_message *m = q->head;
    if (m) {
        take_out(q, NULL, m);
    }
    return m;
}

uint64_t pyr_queue_drop_steps(struct pyr_queue *q, int64_t step) {
    uint64_t count = 0;
    struct pyr_message *previous = NULL;
    for (struct pyr_message *m = q->head, *next; m; m = next) {
        next = m->next;
        if (m->kind != PYR_STEP) {
            previous = m;
            continue;
        }
        if (m->step > step) {
            break;
        }
        unlink_message(q, previous, m);
        count++;
    }
    return count;
}

uint64_t pyr_queue_settle_step(struct pyr_queue *q, int64_t step) {
    const struct pyr_message *last = NULL;
    for (const struct pyr_message *m = q->head; m && m->line > 0; m = m->next) {
        if (m->kind == PYR_STEP && m->step > step) {
            break;
        }
        last = m->kind == PYR_STEP ? m : last;
    }
    uint64_t count = 0;
    uint64_t until = last ? last->index : 0;
    for (; q->head && q->head->index <= until; count++) {
        unlink_message(q, NULL, q->head);
    }
    return count;
}

uint64_t pyr_queue_settle_index(struct pyr_queue *q, uint64_t index) {
    uint64_t count = 0;
    struct pyr_message *previous = NULL;
    for (struct pyr_message *m = q->head, *next; m && m->index <= index; m = next) {
        next = m->next;
        if (m->kind == PYR_STEP) {
            previous = m;
        } else {
            unlink_message(q, previous, m);
            count++;
        }
    }
    return count;
}

bool pyr_queue_refuse_line(struct pyr_queue *q, uint64_t line) {
    struct pyr_message *previous = NULL;
    for (struct pyr_message *m = q->head; m && m->line > 0; previous = m, m = m->next) {
        if (m->line == line) {
            unlink_message(q, previous, m);
            return true;
        }
        if (m->scalars_apart && m->line == line + 1) {
            return true;
        }
    }
    return false;
}

void pyr_queue_clear(struct pyr_queue *q) {
    while (q->head) {
        unlink_message(q, NULL, q->head);
    }
}
