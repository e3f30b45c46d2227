// Rebuilding a run from the store.
#include "runs/run.h"
#include "runs/walk.h"

#include <stdlib.h>
#include <string.h>

static void ignore_change(void *context, const struct alert_change *change) {
    (void)context;
    (void)change;
}

static int parse_facts(const char *facts, struct hello *hello) {
    struct wire_error error;
    return hello_parse(hello, facts, strlen(facts), &error);
}

// The run as it was when the attempt began, without steps.
static struct run *begin(struct run_record *record, const struct attempt_record *attempt,
                         struct ruleset *rules) {
    struct hello hello;
    if (parse_facts(attempt->facts, &hello)) {
        return NULL;
    }
    struct run *r = run_create(record->id, attempt->id, &hello, record->started, rules);
    r->record.progress = record->progress;
    return r;
}

// The run as its checkpoint has it; NULL when there is none that fits.
static struct run *from_checkpoint(struct reader *reader, struct run_record *record,
                                   const struct attempt_record *attempts, size_t n,
                                   struct ruleset *rules) {
    int64_t attempt, step;
    void *bytes;
    size_t size;
    if (reader_checkpoint(reader, record->id, &attempt, &step, &bytes, &size) != 1) {
        return NULL;
    }
    struct run *r = NULL;
    for (size_t i = 0; i < n && !r; i++) {
        r = attempts[i].id == attempt ? begin(record, &attempts[i], rules) : NULL;
    }
    if (r && !run_load(r, bytes, size)) {
        run_destroy(r);
        r = NULL;
    }
    free(bytes);
    return r;
}

static int enter_attempt(struct run *r, const struct attempt_record *a, struct ruleset *rules) {
    struct hello hello;
    if (a->id == r->attempt) {
        return 0; // the run was created with it
    }
    if (parse_facts(a->facts, &hello)) {
        return -1;
    }
    run_begin_attempt(r, a->id, &hello, a->rewind_step, rules, ignore_change, NULL);
    return 0;
}

static void catch_up_outputs(struct run *r, const struct outputs_record *record) {
    struct outputs o = {0};
    struct wire_error error;
    // No daemon stores what is refused here; a damaged store may have it.
    if (outputs_parse(&o, record->line, strlen(record->line), &error) || !run_outputs(r, &o)) {
        r->n_outputs++;
    }
    outputs_free(&o);
}

// Feeds the run what the store has behind its state.
static int catch_up(struct run *r, struct reader *reader, bool from_the_start,
                    struct ruleset *rules) {
    struct walk_options options = {.after_attempt = from_the_start ? 0 : r->attempt,
                                   .after_step = stepset_last(&r->steps),
                                   .skip_events = r->n_events,
                                   .skip_outputs = r->n_outputs,
                                   .outputs = true};
    struct walk *w;
    if (walk_open(&w, reader, r->record.id, &options)) {
        return -1;
    }
    enum walk_item item;
    int rc = 0;
    while (rc == 0 && (item = walk_next(w)) != WALK_END) {
        if (item == WALK_STEP && run_place(r, walk_step(w)->step) != RUN_STEP_NEW) {
            continue; // no daemon stores such a step; a damaged store may have it
        }
        if (item == WALK_STEP) {
            run_observe(r, walk_step(w), ignore_change, NULL);
        } else if (item == WALK_EVENT) {
            run_event(r, walk_event(w)->name);
        } else if (item == WALK_OUTPUTS) {
            catch_up_outputs(r, walk_outputs(w));
        } else {
            rc = item == WALK_ATTEMPT ? enter_attempt(r, walk_attempt(w), rules) : -1;
        }
    }
    walk_close(w);
    return rc;
}

static bool recall_event(void *context, const struct event_record *e) {
    struct run *r = context;
    if (e->attempt == r->attempt && !e->derived) {
        (void)eventset_add(&r->events, e->step, e->time, e->name, e->data);
    }
    return true;
}

static int recall_events(struct run *r, struct reader *reader) {
    struct event_filter all = {.from = INT64_MIN, .to = INT64_MAX};
    return reader_events(reader, r->record.id, &all, INT64_MAX, recall_event, r) < 0 ? -1 : 0;
}

static struct run *restore(struct reader *reader, struct run_record *record,
                           struct ruleset *rules) {
    struct attempt_record *attempts;
    size_t n;
    if (reader_attempts(reader, record->id, &attempts, &n)) {
        return NULL;
    }
    struct run *r = from_checkpoint(reader, record, attempts, n, rules);
    bool from_the_start = !r;
    if (!r && n) {
        r = begin(record, &attempts[0], rules);
    }
    for (size_t i = 0; i < n; i++) {
        attempt_record_free(&attempts[i]);
    }
    free(attempts);
    if (r && (catch_up(r, reader, from_the_start, rules) || recall_events(r, reader))) {
        run_destroy(r);
        r = NULL;
    }
    if (r) {
        if (run_status_is_end(record->progress.status)) {
            // The state may be older than the end, which closed its alerts.
            alerts_end(r->alerts, r->time, ignore_change, NULL);
        }
        // Observing made the run look alive: its status and times are the store's.
        r->record.progress.status = record->progress.status;
        r->record.progress.last_seen = record->progress.last_seen;
        r->record.progress.end_time = record->progress.end_time;
    }
    return r;
}

int run_restore(struct run **out, struct reader *reader, const char *name, struct ruleset *rules) {
    struct run_record record;
    *out = NULL;
    if (reader_begin(reader)) {
        return -1;
    }
    int rc = reader_find_run(reader, name, &record);
    if (rc == 1) {
        *out = restore(reader, &record, rules);
        rc = *out ? 1 : -1;
        run_record_free(&record);
    }
    reader_end(reader);
    return rc;
}
