// The store's reading side: a read-only connection, one a thread. Reads see what was committed.
// Keep read transactions short: an open one keeps the WAL from being recycled.
#ifndef STORAGE_READER_H
#define STORAGE_READER_H

#include "base/buf.h"
#include "base/check.h"
#include "storage/record.h"
#include "wire/step.h"

struct reader;

int reader_open(struct reader **out, const char *directory, struct buf *error) WARN_UNUSED;
void reader_close(struct reader *r);
const char *reader_error(const struct reader *r);
// Between these all reads see one state of the store. May not be nested.
int reader_begin(struct reader *r) WARN_UNUSED;
void reader_end(struct reader *r);

// Functions that find one thing return 1 when it is there, 0 when not, -1 for an error of the
// store.
int reader_find_run(struct reader *r, const char *name, struct run_record *out) WARN_UNUSED;

struct run_filter {
    const char *project;           // NULL = all
    const enum run_status *status; // NULL = all
    int64_t before_id;             // runs with smaller ids only; INT64_MAX from the newest on
};
// Newest first. Calls `row` for at most `limit` rows; the record is the callee's for the call only.
// `row` returns false to stop. Returns the number of rows, -1 for an error.
typedef bool run_row_fn(void *context, const struct run_record *run);
int64_t reader_runs(struct reader *r, const struct run_filter *filter, int64_t limit,
                    run_row_fn *row, void *context) WARN_UNUSED;

// All attempts of a run, oldest first; *out is the caller's, freed with attempt_record_free a piece
// and free(). At least one.
int reader_attempts(struct reader *r, int64_t run, struct attempt_record **out,
                    size_t *n) WARN_UNUSED;

struct event_filter {
    int64_t from, to; // by step, both inclusive; events without one by the step they came after
    int64_t after_id; // larger ids only; 0 from the start
};
typedef bool event_row_fn(void *context, const struct event_record *event);
int64_t reader_events(struct reader *r, int64_t run, const struct event_filter *filter,
                      int64_t limit, event_row_fn *row, void *context) WARN_UNUSED;

struct alert_filter {
    int64_t run;       // 0 = all
    int state;         // enum alert_state, -1 = all
    int severity;      // enum severity, -1 = all
    int64_t before_id; // smaller ids only; INT64_MAX from the newest on
};
typedef bool alert_row_fn(void *context, const struct alert_record *alert);
int64_t reader_alerts(struct reader *r, const struct alert_filter *filter, int64_t limit,
                      alert_row_fn *row, void *context) WARN_UNUSED;
// Alerts of a run by state: counts[enum alert_state].
int reader_alert_counts(struct reader *r, int64_t run, int64_t counts[3]) WARN_UNUSED;

// The newest checkpoint of a run's instruments. *bytes is the caller's, free().
int reader_checkpoint(struct reader *r, int64_t run, int64_t *attempt, int64_t *step, void **bytes,
                      size_t *size) WARN_UNUSED;

// The last waypoint that the run has up to a step of an attempt, those of earlier attempts among
// them. *bytes likewise; NULL: not wanted.
int reader_waypoint(struct reader *r, int64_t run, int64_t *attempt, int64_t *step, void **bytes,
                    size_t *size) WARN_UNUSED;

// A number that changes whenever exact values of a run's steps that were packed have gone by
// retention.
int reader_kept(struct reader *r, int64_t run, int64_t *kept) WARN_UNUSED;

// Walks stored steps of one attempt in order, from..to inclusive.
struct step_cursor;
int step_cursor_open(struct step_cursor **out, struct reader *r, int64_t attempt, int64_t from,
                     int64_t to) WARN_UNUSED;
// 1 and the step filled, 0 at the end, -1 for an error (a damaged step of the journal among them).
int step_cursor_next(struct step_cursor *c, struct step *out) WARN_UNUSED;
// What damaged blocks cost so far; their steps are left out.
struct step_damage {
    size_t segments;
    int64_t first, last; // steps
};
const struct step_damage *step_cursor_damage(const struct step_cursor *c);
void step_cursor_close(struct step_cursor *c);
// The same over `scalars` messages, in the order in which they came within a step.
int scalars_cursor_open(struct step_cursor **out, struct reader *r, int64_t attempt, int64_t from,
                        int64_t to) WARN_UNUSED;

#endif
