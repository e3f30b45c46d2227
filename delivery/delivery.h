// Alerts to people and programs: what waits in the outbox is sent to its receivers, each one's in
// order, until it was taken. Loop thread only; nothing here waits, and a receiver that hangs,
// refuses or floods concerns nobody but itself.
//
// The outbox is durable (storage/outbox.h): a notice is written with the alert's change, and
// deleted once it was sent. In between a crash repeats it, and its idempotency key tells.
//
// A notice that an alert fires is held back while a silence matches it, or while the first alert of
// its cause fires and is more severe. When the hold ends and the alert still fires it is sent; when
// the alert resolved meanwhile both notices are dropped.
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "api/board.h"
#include "config/config.h"
#include "storage/outbox.h"

#include <uv.h>

struct delivery;

// The notice was taken, or will never be: it may leave the outbox.
typedef void delivery_done_fn(void *context, int64_t notice);

// `board` is told how the receivers are doing.
struct delivery *delivery_create(uv_loop_t *loop, struct board *board, delivery_done_fn *done,
                                 void *context);
// Receivers as configured, at the start and at a reload; what waits for one that stays goes on
// waiting. `external_url` NULL: http_address (HOST:PORT). -1 with a message, and nothing changed.
int delivery_configure(struct delivery *d, const struct config *config, const char *http_address,
                       struct buf *messages) WARN_UNUSED;
// At the start: what the last life left in the outbox, what fires, the silences. -1 for an error of
// the store.
int delivery_load(struct delivery *d, struct reader *r) WARN_UNUSED;
// The silences as they are in the store now.
int delivery_load_silences(struct delivery *d, struct reader *r) WARN_UNUSED;

bool delivery_is_silenced(const struct delivery *d, const struct alert_record *a);

// Who must be told of this change, a name a line, for alert_record.receivers; the caller's, free().
// NULL: nobody.
char *delivery_receivers(const struct delivery *d, const struct alert_record *a);
// The change is durable.
void delivery_alert(struct delivery *d, const struct alert_record *a);
// That nothing can be stored, or can be again, as the board says. No store can keep this notice: it
// is gone with the process.
void delivery_trouble(struct delivery *d);
// The run is being deleted, with its alerts.
void delivery_forget_run(struct delivery *d, int64_t run);
// Sends every receiver a test. Returns their number.
size_t delivery_test(struct delivery *d);
// Once a second: retries, repeats, holds that end.
void delivery_tick(struct delivery *d);
// Breaks off what is under way; the outbox keeps it.
void delivery_destroy(struct delivery *d);

#endif
