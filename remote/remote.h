// Remote write: a thread that takes the newest readings from the board at each receiver's interval
// and posts them to it (Prometheus' protocol, version 0.1.0). What a receiver does or does not do
// concerns nobody but itself: what waits for it is bounded, and nothing here waits for it but the
// last of a stop. Started with the first receiver.
//
// The calls below are the loop thread's.
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "api/board.h"
#include "config/config.h"

struct remote_write;
struct endpoint;

// `data`: the store's directory, which the thread reads what fires from.
struct remote_write *remote_create(struct board *board, const char *data);
// Whether the receivers of a configuration will do: files with secrets are read. 0, or -1 with a
// message.
int remote_check(const struct config *config, struct buf *messages) WARN_UNUSED;
// Those receivers from now on; what waits for one that stays goes on waiting. -1 with a message,
// and nothing changed.
int remote_configure(struct remote_write *w, const struct config *config,
                     struct buf *messages) WARN_UNUSED;
// The run leaves the board: its last reading is written at once, and that its series have ended.
void remote_run_ends(struct remote_write *w, const char *run);
// Before the store closes: the last readings of all runs, and the end of all series, are sent while
// the rest of the process stops. The store is not read any more.
void remote_finish(struct remote_write *w);
// Waits for that, a few seconds at most; what was not taken until then is lost.
void remote_destroy(struct remote_write *w);

#endif
