// The bounded queue of messages between the job and the client's thread, and what the daemon's
// answers do to it. Any thread may append; only the client's thread takes and settles. The caller
// holds the lock.
//
//     head ... sent, not yet known to be on disk ... | unsent ... tail
#ifndef CLIENTS_C_QUEUE_H
#define CLIENTS_C_QUEUE_H

#include "clients/c/message.h"

struct pyr_queue {
    struct pyr_message *head, *tail, *unsent;
    size_t bytes, bytes_max;
    uint64_t count, appended;
};

// False when it does not fit; then the message stays the caller's. `end` may exceed the bound.
bool pyr_queue_append(struct pyr_queue *q, struct pyr_message *m);

// The next message to send, NULL: none. It stays in the queue.
struct pyr_message *pyr_queue_take(struct pyr_queue *q);

// The oldest, which leaves the queue and is the caller's to free; NULL: none.
struct pyr_message *pyr_queue_pop(struct pyr_queue *q);
// Puts it back, or what is left of it: a line. Only as many as were taken out.
void pyr_queue_push_front(struct pyr_queue *q, struct pyr_message *m);
// Whether more than half of the bound is taken.
bool pyr_queue_is_crowded(const struct pyr_queue *q);

// Everything in the queue is to be sent again.
void pyr_queue_resend(struct pyr_queue *q);

// Each of these returns how many messages left the queue.
// Every step up to this one is on disk, whoever sent it: those need not be sent (again).
uint64_t pyr_queue_drop_steps(struct pyr_queue *q, int64_t step);
// Of what was sent over this connection every step up to this one is on disk, and so is what stood
// before the last of them.
uint64_t pyr_queue_settle_step(struct pyr_queue *q, int64_t step);
// What was sent up to this index is on disk; steps among it wait for their ack.
uint64_t pyr_queue_settle_index(struct pyr_queue *q, uint64_t index);

// Takes out what was sent as this line or frame of the present connection; of a step whose scalars
// went apart only these are lost. False when nothing there is.
bool pyr_queue_refuse_line(struct pyr_queue *q, uint64_t line);

void pyr_queue_clear(struct pyr_queue *q);

#endif
