// The writer thread: it alone uses the store's one read-write connection. It takes what is queued,
// as much as one transaction may hold, commits, and reports: that is the group commit. While it
// waits for the disk the next group gathers.
//
// When the store fails the transaction is rolled back and tried again every second; nothing is
// dropped and nothing is acknowledged meanwhile.
#ifndef DAEMON_WRITER_H
#define DAEMON_WRITER_H

#include "api/board.h"
#include "daemon/op.h"
#include "storage/store.h"

struct writer;

// How far a run is durable.
struct written_run {
    int64_t run, attempt, last_step;
};

// What one or more commits brought.
struct written {
    uint64_t sequence;        // every op up to this one is durable
    struct written_run *runs; // each run once a commit
    size_t n_runs;
    struct op **alerts; // OP_ALERT, with their ids, in order
    size_t n_alerts;
    char *trouble; // why the last commit failed; NULL: it did not
};

// group_ms: the longest that an op waits for others to be written with it. `wake` is called on the
// writer's thread after each commit or failure. Takes over the store.
struct writer *writer_start(struct store *store, uint64_t group_ms, struct board_figures *figures,
                            void (*wake)(void *), void *context);
// Loop thread. Takes over the op; returns its sequence number.
uint64_t writer_push(struct writer *w, struct op *op);
// Bytes pushed and not yet durable.
size_t writer_queued_bytes(struct writer *w);
// What happened since the last call; free with written_free().
void writer_collect(struct writer *w, struct written *out);
void written_free(struct written *w);
// Grows at least once a second while the thread makes progress.
uint64_t writer_heartbeat(struct writer *w);
// Writes what is queued, for at most timeout_s, closes the store, joins the thread. False when
// something could not be written.
bool writer_stop(struct writer *w, double timeout_s);

#endif
