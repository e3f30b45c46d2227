// What the store keeps, as plain structs. Strings are borrowed on the way in and owned on the way
// out (record_free functions); NULL where there is none.
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum run_status { RUN_RUNNING, RUN_STALLED, RUN_COMPLETED, RUN_FAILED, RUN_STOPPED };

// "running" and so on; run_status_find: false when there is no such status.
const char *run_status_name(enum run_status s);
bool run_status_find(const char *name, enum run_status *s);
// Completed, failed or stopped.
bool run_status_is_end(enum run_status s);

// What changes with every step; written once a transaction.
struct run_progress {
    int64_t run;
    enum run_status status;
    double last_seen;                       // seconds since the epoch
    int64_t first_step, last_step, n_steps; // of the history in force; -1, -1, 0 before the first
    double loss;                            // the newest
    double end_time;                        // 0 while it has not ended
};

struct run_record {
    int64_t id;
    char *name, *project;
    double started; // seconds since the epoch
    char *facts;    // the newest hello's, JSON
    struct run_progress progress;
};

// A run's stretch between rewinds (or changes of its facts). Steps of earlier attempts behind
// `rewind_step` are superseded: kept, exported, but not part of the history in force.
struct attempt_record {
    int64_t id, run;
    int64_t rewind_step; // last step of the earlier attempts that stays
    bool is_rewind;      // the job asked for it; else its facts changed and nothing was superseded
    double started;
    char *facts;
};

struct event_record {
    int64_t id, run, attempt;
    int64_t step;       // -1: the job did not say; then after_step orders it
    int64_t after_step; // the newest step when it came, -1 before the first
    double time;
    char *name, *data; // data: JSON text or NULL
    bool derived;      // the daemon found it in what the job sent; not part of an export
};

// A histogram of outputs (wire/outputs.h).
struct outputs_record {
    int64_t id, run, attempt;
    int64_t step;
    int64_t after_step;   // the newest step when it came, -1 before the first
    int64_t after_events; // the run's events that had come, derived ones too
    char *line;           // as outputs_print() has it, without the newline
};

struct alert_record {
    int64_t id, run, attempt;
    char *run_name, *project; // on the way out
    char *rule, *layer;       // layer NULL: the whole run
    int severity, state;      // enum severity, enum alert_state
    int64_t since, step;
    double started, fired, resolved, changed; // seconds since the epoch; 0: not yet
    double value, threshold;
    int64_t group;                  // the id of the first alert of its cause, or its own
    char *group_rule, *group_layer; // name that first alert; on the way in with group_since
    int64_t group_since;
    char *summary;
    char *labels, *annotations; // of its rule when it began, a line "key=value" each; NULL: none
    double acknowledged;        // 0: nobody has it
    int closed_by;       // enum alert_closing, once it is resolved
    bool inhibited;      // on the way out: the first alert of its cause fires and is more severe
    bool silenced;       // set by who shows it
    bool no_data;        // on the way out: the run is silent, so that nobody knows whether it holds
    char *receivers;     // on the way in: who must be told of this change, a name a line; NULL:
                         // nobody
    int64_t notice;      // set by store_put_alert: the first of their notices; 0: nothing is new
};

// Why an alert is not firing any more.
enum alert_closing {
    ALERT_RECOVERED,  // its condition was gone for as long as its rule wants
    ALERT_RUN_ENDED,  // nothing more is known of it
    ALERT_SUPERSEDED, // another attempt of the run began
    ALERT_CLOSINGS
};

void run_record_free(struct run_record *r);
void attempt_record_free(struct attempt_record *a);
void event_record_free(struct event_record *e);
void outputs_record_free(struct outputs_record *o);
void alert_record_free(struct alert_record *a);

#endif
