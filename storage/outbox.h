// Who must be told of which alert, and who does not want to be: notices that no receiver has taken
// yet, the history of every alert, and silences.
//
// A notice is written in the transaction of the alert's change (store_put_alert) and deleted once
// its receiver has taken it, so that every change reaches every receiver at least once. Writing
// functions belong to the writer's thread and into a transaction; reading ones to a reader's.
#ifndef STORAGE_OUTBOX_H
#define STORAGE_OUTBOX_H

#include "storage/reader.h"
#include "storage/store.h"

struct notice_record {
    int64_t id;
    char *receiver;
    // As it was when the notice was written: severity and state are the notice's own, the rest is
    // the alert's.
    struct alert_record alert;
};

struct silence_record {
    int64_t id;
    double starts, ends, created; // seconds since the epoch
    char *created_by, *comment;
    char *matchers; // JSON, see wire/silence.h
};
void silence_record_free(struct silence_record *s);

int store_delete_notice(struct store *s, int64_t id) WARN_UNUSED;
// Its id is the caller's, larger than reader_newest_silence().
int store_put_silence(struct store *s, const struct silence_record *silence) WARN_UNUSED;
// Ends it at `now`; one that has ended stays as it is.
int store_end_silence(struct store *s, int64_t id, double now) WARN_UNUSED;

// Each calls `row`, whose record is the callee's for the call only, and returns the number of rows
// or -1. Oldest first.
typedef void notice_row_fn(void *context, const struct notice_record *notice);
int64_t reader_notices(struct reader *r, notice_row_fn *row, void *context) WARN_UNUSED;
typedef void silence_row_fn(void *context, const struct silence_record *silence);
int reader_newest_silence(struct reader *r, int64_t *id) WARN_UNUSED; // 0: there was none yet
// Those that end after `after`, newest first; of a page those below `before_id`, `limit` at most.
int64_t reader_silences(struct reader *r, double after, silence_row_fn *row,
                        void *context) WARN_UNUSED;
int64_t reader_silence_page(struct reader *r, double after, int64_t before_id, int64_t limit,
                            silence_row_fn *row, void *context) WARN_UNUSED;
// Alerts that fire, and those that resolved at `since` or later.
int64_t reader_active_alerts(struct reader *r, double since, alert_row_fn *row,
                             void *context) WARN_UNUSED;

// One change in an alert's life.
struct alert_change_record {
    int severity, state; // enum severity, enum alert_state
    int64_t step;
    double time; // seconds since the epoch
    double value;
    char *summary;
};
typedef void alert_change_row_fn(void *context, const struct alert_change_record *change);
int64_t reader_alert_history(struct reader *r, int64_t alert, alert_change_row_fn *row,
                             void *context) WARN_UNUSED;

#endif
