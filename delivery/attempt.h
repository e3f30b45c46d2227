// One try to reach a receiver: a POST, a program or sendmail. Loop thread; done is called on it
// later, with the receiver, and not before these return.
#ifndef DELIVERY_ATTEMPT_H
#define DELIVERY_ATTEMPT_H

#include "delivery/receiver.h"

// With what proves who sent it. The alert gives the idempotency key; NULL where there are several.
void attempt_post(struct receiver *r, struct poster *poster, const struct buf *body,
                  const struct alert_record *a, post_done_fn *done);
// The body on its standard input, the alert in its environment.
void attempt_command(struct receiver *r, uv_loop_t *loop, const struct buf *body,
                     const struct alert_record *a, spawn_done_fn *done);
void attempt_mail(struct receiver *r, uv_loop_t *loop, const struct buf *body, spawn_done_fn *done);

#endif
