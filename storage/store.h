// The store's writing side: one SQLite database in WAL mode, behind one seam.
//
// Exactly one connection of one process writes, commits and checkpoints; every other one is
// read-only (storage/reader.h). That is a matter of correctness: SQLite before 3.51.3, Debian's
// among them, can lose committed data when two connections write or checkpoint one WAL at the same
// instant. A lock on the directory keeps other processes out.
//
// A struct store belongs to one thread at a time. Functions return 0, or -1 with the reason in
// store_error(); a failed write leaves the transaction to be rolled back by the caller.
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "base/buf.h"
#include "base/check.h"
#include "storage/parcel.h"
#include "storage/record.h"

#include <stdbool.h>

#define STORE_FILE "pyrometer.db"

struct store;

// Creates the directory and the database where they are not there, migrates an older one.
// `durable`: synchronous=FULL, a commit survives a power cut; else NORMAL, it survives only the
// process. -1 with a message for people: locked by another daemon, not ours, made by a newer
// version, damaged.
int store_open(struct store **out, const char *directory, bool durable,
               struct buf *error) WARN_UNUSED;
// Checkpoints the WAL and closes. store_close(NULL) is fine.
void store_close(struct store *s);
const char *store_error(const struct store *s);
// The last daemon on this directory did not close it.
bool store_was_unclean(const struct store *s);

int store_begin(struct store *s) WARN_UNUSED;
int store_commit(struct store *s) WARN_UNUSED;
void store_rollback(struct store *s);
// Copies the log into the database where it has grown enough; to be called often, outside of
// transactions, when nobody waits for what was committed. Failures show in a later commit.
void store_checkpoint(struct store *s);

// Each of these belongs into a transaction. Ids are the caller's, from store_next_ids().
int store_put_run(struct store *s, const struct run_record *run) WARN_UNUSED; // insert or replace
int store_put_progress(struct store *s, const struct run_progress *p) WARN_UNUSED;
int store_put_attempt(struct store *s, const struct attempt_record *a) WARN_UNUSED;
// A step that is there already stays as it is.
int store_put_step(struct store *s, int64_t attempt, int64_t step, const void *blob,
                   size_t size) WARN_UNUSED;
int store_put_scalars(struct store *s, int64_t attempt, int64_t step, const void *blob,
                      size_t size) WARN_UNUSED;
// What the instruments read at a step, as a blob of storage/blob.h (runs/readings.h). One that is
// there already stays.
int store_put_reading(struct store *s, int64_t attempt, int64_t step, const void *blob,
                      size_t size) WARN_UNUSED;
int store_put_event(struct store *s, const struct event_record *e) WARN_UNUSED;
int store_put_outputs(struct store *s, const struct outputs_record *o) WARN_UNUSED;
// Inserts, or brings up to date the alert of the same (run, attempt, rule, layer, since), and sets
// its id, group and the time it started. With `cancelled` it is deleted. A change that is new joins
// its history, and a notice for each of a->receivers the outbox (storage/outbox.h); a change that
// came before, when steps are observed again, does neither.
int store_put_alert(struct store *s, struct alert_record *a, bool cancelled) WARN_UNUSED;
// Replaces the run's checkpoint: the state of its instruments behind `step`.
int store_put_checkpoint(struct store *s, int64_t run, int64_t attempt, int64_t step,
                         const void *bytes, size_t size) WARN_UNUSED;
// Keeps the state of the run's instruments behind `step` (runs/waypoint.h).
int store_put_waypoint(struct store *s, int64_t run, int64_t attempt, int64_t step,
                       const void *bytes, size_t size) WARN_UNUSED;
// Marks the alert as somebody's, once.
int store_acknowledge_alert(struct store *s, int64_t id, double now) WARN_UNUSED;
// With all its steps, events and alerts. Its space is freed by store_tidy().
int store_delete_run(struct store *s, int64_t run) WARN_UNUSED;

// The first run and attempt ids that are free.
int store_next_ids(struct store *s, int64_t *run, int64_t *attempt) WARN_UNUSED;
// How much is kept of what lies in blocks: store_tidy() deletes the exact values of steps that are
// older than retention_s, and while the database's file takes more than max_bytes the oldest ones
// of the oldest runs. Tiers, events and alerts stay. 0: no limit.
void store_limit(struct store *s, uint64_t retention_s, uint64_t max_bytes);
// Clocks other than the system's, for tests: seconds since the epoch, and since some moment.
void store_set_clocks(struct store *s, double (*wall)(void), double (*counted)(void));
// A bounded piece of upkeep, in transactions of its own: deletes what is not to be kept, gives free
// pages back and, with `idle` (nothing else is to be written or packed now), empties the log. 1:
// there may be more to do, 0: there is nothing, -1: it failed and changed nothing.
int store_tidy(struct store *s, bool idle) WARN_UNUSED;
// parcel_install() of what a compactor (storage/compact.h) made of this store.
int store_install(struct store *s, struct parcel *p) WARN_UNUSED;
// For tests: asks `interrupt` every so many instructions of SQLite's whether to fail now.
void store_interrupt_after(struct store *s, int instructions, int (*interrupt)(void *));
// How much was written that may wait to be packed; store_note_packed() takes off what a compactor
// that found nothing more has looked at.
int64_t store_backlog_bytes(const struct store *s);
void store_note_packed(struct store *s, int64_t bytes);
// So much waits that packing should not wait for quiet; and so much that writing should wait.
bool store_is_behind(const struct store *s);
bool store_is_far_behind(const struct store *s);
// Where the store is.
const char *store_directory(const struct store *s);
// Size of the write-ahead log in bytes.
int64_t store_wal_bytes(const struct store *s);
int64_t store_database_bytes(const struct store *s); // without that log

#endif
