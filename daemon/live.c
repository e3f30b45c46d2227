#include "daemon/live.h"

#include "api/alerts.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/alarm.h"
#include "daemon/reading.h"
#include "runs/snapshot.h"
#include "runs/waypoint.h"
#include "storage/blob.h"

#include <stdlib.h>
#include <string.h>

// A checkpoint is worth its bytes when enough was observed since the last: at most about a tenth of
// what is written, and at most this many steps to observe again after a crash.
#define CHECKPOINT_STEPS 1024
#define CHECKPOINT_SHARE 8
#define CHECKPOINT_BYTES_MAX 900000000u // SQLite takes values of up to 10^9 bytes
// While steps keep coming a run's reading is published this often, or less often where it costs
// more than a tenth of the time; when the last step is durable it is published at once.
#define PUBLISH_INTERVAL_NS UINT64_C(50000000)
#define PUBLISH_SHARE 10
#define PUBLISH_CHEAP_NS UINT64_C(2000000)
// A run that is silent is stalled after alerts.stall_after, or ten of its steps where these are
// long.
#define STALL_STEPS 10

static size_t bucket_of(const char *name) {
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    }
    return hash % APP_RUN_BUCKETS;
}

static uint64_t push(struct live_run *l, struct op *op) {
    return l->pushed = writer_push(l->app->writer, op);
}

static struct live_run *add(struct app *app, struct run *run) {
    struct live_run *l = NEW(struct live_run);
    struct live_run **bucket = &app->runs[bucket_of(run->record.name)];
    *l = (struct live_run){.next = *bucket,
                           .app = app,
                           .run = run,
                           .durable_step = stepset_last(&run->steps),
                           .last_activity_ns = clock_monotonic_ns(),
                           .dirty = true};
    *bucket = l;
    return l;
}

void live_remove(struct live_run *l) {
    struct live_run **at = &l->app->runs[bucket_of(l->run->record.name)];
    while (*at != l) {
        at = &(*at)->next;
    }
    *at = l->next;
    remote_run_ends(l->app->remote, l->run->record.name);
    board_forget(l->app->board, l->run->record.name);
    run_destroy(l->run);
    free(l);
}

struct live_run *live_find(struct app *app, const char *name) {
    struct live_run *l = app->runs[bucket_of(name)];
    while (l && strcmp(l->run->record.name, name) != 0) {
        l = l->next;
    }
    return l;
}

int live_load(struct app *app, const char *name, struct live_run **out, struct wire_error *error) {
    *out = live_find(app, name);
    if (*out) {
        return 0;
    }
    struct run *run;
    int rc = run_restore(&run, app->reader, name, app->rules);
    if (rc < 0) {
        return wire_fail(error, WIRE_OVERLOADED, "the run cannot be read from the store: %s",
                         reader_error(app->reader));
    }
    *out = rc ? add(app, run) : NULL;
    return 0;
}

static void publish(struct live_run *l) {
    uint64_t before = clock_monotonic_ns();
    board_publish(l->app->board, snapshot_create(l->run));
    l->published_ns = clock_monotonic_ns();
    l->publish_cost_ns = l->published_ns - before;
    l->dirty = l->status_changed = false;
}

static void push_progress(struct live_run *l) {
    struct op *op = op_create(OP_PROGRESS, l->run->record.id, l->run->attempt, 0, NULL, 0);
    op->progress = l->run->record.progress;
    push(l, op);
}

static struct op *attempt_op(const struct run *r, int64_t rewind_step, bool is_rewind) {
    struct op *op = op_create(OP_ATTEMPT, r->record.id, r->attempt, 0, NULL, 0);
    op->attempt_row = (struct attempt_record){.id = r->attempt,
                                              .run = r->record.id,
                                              .rewind_step = rewind_step,
                                              .is_rewind = is_rewind,
                                              .started = clock_wall_s(),
                                              .facts = op_text(r->record.facts)};
    return op;
}

// The run and the attempt that begins are written together: one without the other cannot be read.
static void push_run(struct live_run *l, int64_t rewind_step, bool is_rewind) {
    struct op *op = op_create(OP_RUN, l->run->record.id, l->run->attempt, 0, NULL, 0);
    op->run_row = l->run->record;
    op->run_row.name = op_text(l->run->record.name);
    op->run_row.project = op_text(l->run->record.project);
    op->run_row.facts = op_text(l->run->record.facts);
    op->also = attempt_op(l->run, rewind_step, is_rewind);
    push(l, op);
}

static void push_checkpoint(struct live_run *l) {
    struct buf bytes;
    buf_init(&bytes, CHECKPOINT_BYTES_MAX);
    run_save(l->run, &bytes);
    if (bytes.failed) {
        log_warning("no checkpoint of run=%s: its state is over %u bytes, or memory is short; a "
                    "restart replays it",
                    l->run->record.name, CHECKPOINT_BYTES_MAX);
    } else {
        push(l, op_take(OP_CHECKPOINT, l->run->record.id, l->run->attempt,
                        stepset_last(&l->run->steps), &bytes));
    }
    buf_free(&bytes);
    l->checkpoint_steps = 0;
    l->checkpoint_bytes = 0;
}

static const char *layer_name(const struct run *r, size_t layer) {
    return layer == THERMO_GLOBAL ? NULL : r->hello.layers[layer].name;
}

// A line "key=value" each; NULL for none. The caller's, free().
static char *words_text(const struct rule_word words[RULE_WORDS_MAX]) {
    struct buf text;
    buf_init(&text, (size_t)RULE_WORDS_MAX * (LIMIT_CONFIG_TEXT + RULE_NAME_MAX + 2));
    for (size_t i = 0; i < RULE_WORDS_MAX && words[i].key; i++) {
        buf_printf(&text, "%s=%s\n", words[i].key, words[i].value);
    }
    char *copy = text.len ? must_copy(buf_str(&text)) : NULL;
    buf_free(&text);
    return copy;
}

static void push_alert(void *context, const struct alert_change *change) {
    struct live_run *l = context;
    const struct run *r = l->run;
    struct op *op = op_create(OP_ALERT, r->record.id, r->attempt, change->step, NULL, 0);
    bool fired = change->state == ALERT_FIRING, resolved = change->state == ALERT_RESOLVED;
    op->cancelled = change->cancelled;
    op->alert = (struct alert_record){
        .run = r->record.id,
        .attempt = r->attempt,
        .run_name = op_text(r->record.name),
        .project = op_text(r->record.project),
        .rule = op_text(change->rule_name),
        .layer = op_text(layer_name(r, change->layer)),
        .severity = (int)change->severity,
        .state = (int)change->state,
        .since = change->since,
        .step = change->step,
        .started = change->time,
        .fired = fired ? change->time : 0,
        .resolved = resolved ? change->time : 0,
        .changed = change->time,
        .value = change->value,
        .threshold = change->threshold,
        .group_rule = op_text(change->group_rule_name),
        .group_layer = op_text(layer_name(r, change->group_layer)),
        .group_since = change->group_since,
        .summary = op_text(change->summary),
        .labels = change->settings ? words_text(change->settings->labels) : NULL,
        .annotations = change->settings ? words_text(change->settings->annotations) : NULL,
        .closed_by = resolved ? (int)l->closing : ALERT_RECOVERED,
    };
    if (!change->cancelled) {
        op->alert.receivers = delivery_receivers(l->app->delivery, &op->alert);
    }
    push(l, op);
    if (fired) {
        board_count_fired(l->app->board, change->rule_name);
        log_warning("alert rule=%s severity=%s run=%s layer=%s step=%lld: %s", change->rule_name,
                    severity_name(change->severity), r->record.name,
                    change->layer == THERMO_GLOBAL ? "-" : layer_name(r, change->layer),
                    (long long)change->step, change->summary);
    }
}

static void stream_status(struct live_run *l) {
    struct buf json;
    buf_init(&json, 1024);
    buf_printf(&json, "{\"run\":\"%s\",\"status\":\"%s\",\"step\":%lld}", l->run->record.name,
               run_status_name(l->run->record.progress.status),
               (long long)stepset_last(&l->run->steps));
    board_stream(l->app->board, l->run->record.name, "status", buf_str(&json));
    buf_free(&json);
}

// The status as the store and the streams should know it.
static void set_status(struct live_run *l, enum run_status status, double end_time) {
    l->run->record.progress.status = status;
    l->run->record.progress.end_time = end_time;
    push_progress(l);
    l->dirty = l->status_changed = true;
    stream_status(l);
}

// Of what ends, so that nothing of it is missing from its readings over time.
static void push_rest(struct live_run *l) {
    struct op *op = readings_take_rest(&l->run->readings) ? reading_op(l->run) : NULL;
    if (op) {
        push(l, op);
    }
}

struct live_run *live_create(struct app *app, struct hello *hello) {
    struct run *run =
        run_create(app->next_run++, app->next_attempt++, hello, clock_wall_s(), app->rules);
    struct live_run *l = add(app, run);
    push_run(l, -1, false);
    publish(l);
    return l;
}

void live_begin_attempt(struct live_run *l, struct hello *hello, int64_t rewind_step,
                        bool is_rewind) {
    if (rewind_step >= stepset_last(&l->run->steps)) {
        push_rest(l); // else it would be superseded
    }
    l->closing = ALERT_SUPERSEDED;
    run_begin_attempt(l->run, l->app->next_attempt++, hello, rewind_step, l->app->rules, push_alert,
                      l);
    l->closing = ALERT_RECOVERED;
    int64_t last = stepset_last(&l->run->steps);
    l->durable_step = l->durable_step < last ? l->durable_step : last;
    push_run(l, rewind_step, is_rewind);
    push_progress(l); // once it is on disk so are the steps that the attempt keeps
    push_checkpoint(l);
    l->dirty = true;
}

// Whether enough was observed since the last checkpoint for another one to be worth its bytes.
static bool checkpoint_is_worth(const struct live_run *l) {
    size_t state_bytes = thermo_saved_size(l->run->thermo) + alerts_saved_size(l->run->alerts);
    return l->checkpoint_bytes >= CHECKPOINT_SHARE * state_bytes;
}

// A small store wants them more often, to be able to delete.
static bool checkpoint_is_due(const struct live_run *l) {
    uint64_t max_bytes = l->app->config.storage.max_size_bytes;
    return l->checkpoint_steps >= CHECKPOINT_STEPS ||
           (max_bytes > 0 && l->checkpoint_bytes >= max_bytes / CHECKPOINT_SHARE);
}

// Whether steps may be deleted: only those behind a checkpoint may.
static bool is_forgetful(const struct app *app) {
    return app->config.storage.retention_s > 0 || app->config.storage.max_size_bytes > 0;
}

void live_resume(struct live_run *l) {
    l->last_activity_ns = clock_monotonic_ns();
    if (l->run->record.progress.status != RUN_RUNNING) {
        set_status(l, RUN_RUNNING, 0);
    }
}

// The step or message as a blob. NULL when there is no memory for it.
static struct op *blob_op(struct live_run *l, enum op_type type, const struct step *step) {
    struct buf *blob = &l->app->blob;
    buf_clear(blob);
    if (!blob_encode(step, blob)) {
        log_error("no memory for step %lld of run=%s", (long long)step->step, l->run->record.name);
        return NULL;
    }
    return op_create(type, l->run->record.id, l->run->attempt, step->step, blob->data, blob->len);
}

static void stream_event(struct live_run *l, const struct event_record *e) {
    struct buf json;
    buf_init(&json, 4096);
    buf_printf(&json, "{\"run\":\"%s\",\"step\":%lld,\"name\":\"%s\",\"data\":%s}",
               l->run->record.name, (long long)e->step, e->name, e->data);
    board_stream(l->app->board, l->run->record.name, "event", buf_str(&json));
    buf_free(&json);
}

static void add_also(struct op *op, struct op *also) {
    while (op->also) {
        op = op->also;
    }
    op->also = also;
}

// What the message that `op` stores brought to light becomes events beside it: they are written
// together or not at all, since a restart observes the message again but stores nothing anew.
static void add_phases(struct live_run *l, struct op *op, double time) {
    struct run *r = l->run;
    for (size_t i = 0; i < r->n_phases; i++) {
        struct buf data;
        buf_init(&data, 1024);
        run_phase_json(&r->phases[i], &data);
        struct op *event = op_create(OP_EVENT, r->record.id, r->attempt, 0, NULL, 0);
        event->event = (struct event_record){.run = r->record.id,
                                             .attempt = r->attempt,
                                             .step = r->phases[i].step,
                                             .after_step = stepset_last(&r->steps),
                                             .time = time,
                                             .name = op_text(RUN_PHASE_EVENT),
                                             .data = op_text(buf_str(&data)),
                                             .derived = true};
        buf_free(&data);
        stream_event(l, &event->event);
        add_also(op, event);
        run_event(r, RUN_PHASE_EVENT);
    }
}

void live_outputs(struct live_run *l, const struct outputs *outputs) {
    struct run *r = l->run;
    int64_t after_events = r->n_events;
    if (!run_outputs(r, outputs)) {
        return;
    }
    struct buf line;
    buf_init(&line, LIMIT_MESSAGE_BYTES_MAX);
    outputs_print(outputs, &line);
    struct op *op = op_create(OP_OUTPUTS, r->record.id, r->attempt, outputs->step, NULL, 0);
    op->outputs = (struct outputs_record){.run = r->record.id,
                                          .attempt = r->attempt,
                                          .step = outputs->step,
                                          .after_step = stepset_last(&r->steps),
                                          .after_events = after_events,
                                          .line = must_copy_n(line.data, line.len - 1)};
    buf_free(&line);
    add_phases(l, op, outputs->time);
    push(l, op);
    l->last_activity_ns = clock_monotonic_ns();
    l->dirty = true;
}

bool live_step(struct live_run *l, const struct step *step) {
    struct op *op = blob_op(l, OP_STEP, step);
    if (!op) {
        return false;
    }
    live_resume(l);
    run_observe(l->run, step, push_alert, l);
    l->run->record.progress.last_seen = clock_wall_s();
    op->progress = l->run->record.progress;
    l->checkpoint_steps++;
    l->checkpoint_bytes += op->blob_size;
    if (readings_are_due(&l->run->readings)) {
        add_also(op, reading_op(l->run)); // with the step or not at all, as phases
    }
    if (waypoint_is_due(l->run, op->blob_size)) {
        add_also(op, waypoint_op(l->run));
    }
    add_phases(l, op, step->time);
    push(l, op);
    l->dirty = true;
    if (checkpoint_is_due(l) && checkpoint_is_worth(l)) {
        push_checkpoint(l);
    }
    return true;
}

bool live_scalars(struct live_run *l, const struct step *message) {
    struct op *op = blob_op(l, OP_SCALARS, message);
    if (op) {
        push(l, op);
    }
    return op != NULL;
}

void live_event(struct live_run *l, const struct event *event) {
    bool is_new = eventset_add(&l->run->events, event->step, event->time, event->name, event->data);
    if (!is_new && event->is_timed) {
        return; // sent again after a connection was lost
    }
    struct op *op = op_create(OP_EVENT, l->run->record.id, l->run->attempt, event->step, NULL, 0);
    op->event = (struct event_record){.run = l->run->record.id,
                                      .attempt = l->run->attempt,
                                      .step = event->step,
                                      .after_step = stepset_last(&l->run->steps),
                                      .time = event->time,
                                      .name = op_text(event->name),
                                      .data = op_text(event->data)};
    push(l, op);
    run_event(l->run, event->name);
    l->last_activity_ns = clock_monotonic_ns();
    l->dirty = true;
}

void live_end(struct live_run *l, const char *status) {
    enum run_status s = RUN_COMPLETED;
    CHECK(run_status_find(status, &s));
    double now = clock_wall_s();
    push_rest(l);
    l->closing = ALERT_RUN_ENDED;
    alerts_end(l->run->alerts, l->run->time > 0 ? l->run->time : now, push_alert, l);
    l->closing = ALERT_RECOVERED;
    l->run->record.progress.last_seen = now;
    set_status(l, s, now);
    if (checkpoint_is_worth(l) || is_forgetful(l->app)) {
        push_checkpoint(l); // of a short run that is kept the steps are less than its state
    }
}

static void stream_alert(struct app *app, const struct op *op) {
    struct buf json;
    buf_init(&json, 16384);
    alert_json(&op->alert, &json);
    board_stream(app->board, op->alert.run_name, "alert", buf_str(&json));
    buf_free(&json);
}

static bool is_settled(const struct live_run *l) {
    return l->pushed <= l->app->durable;
}

// Whether the run's changes should be read anew now.
static bool publish_is_due(const struct live_run *l, uint64_t now_ns) {
    if (!l->dirty) {
        return false;
    }
    uint64_t pause = l->publish_cost_ns * PUBLISH_SHARE;
    if (is_settled(l)) {
        return l->status_changed || l->publish_cost_ns < PUBLISH_CHEAP_NS ||
               now_ns - l->published_ns >= pause;
    }
    return now_ns - l->published_ns >= (pause > PUBLISH_INTERVAL_NS ? pause : PUBLISH_INTERVAL_NS);
}

void live_publish_due(struct app *app) {
    uint64_t now = clock_monotonic_ns();
    for (size_t b = 0; b < APP_RUN_BUCKETS; b++) {
        for (struct live_run *l = app->runs[b]; l; l = l->next) {
            if (publish_is_due(l, now)) {
                publish(l);
            }
        }
    }
}

// Live runs by id: a handful a commit among many, so all are looked at once a commit.
static void note_durable(struct app *app, const struct written *w) {
    for (size_t b = 0; b < APP_RUN_BUCKETS; b++) {
        for (struct live_run *l = app->runs[b]; l; l = l->next) {
            for (size_t i = 0; i < w->n_runs; i++) {
                if (w->runs[i].run == l->run->record.id && w->runs[i].attempt == l->run->attempt) {
                    l->durable_step = w->runs[i].last_step;
                }
            }
        }
    }
}

void live_written(struct app *app, const struct written *w) {
    app->durable = w->sequence > app->durable ? w->sequence : app->durable;
    note_durable(app, w);
    live_publish_due(app);
    for (size_t i = 0; i < w->n_alerts; i++) {
        w->alerts[i]->alert.silenced = delivery_is_silenced(app->delivery, &w->alerts[i]->alert);
        stream_alert(app, w->alerts[i]);
        alarm_written(app, &w->alerts[i]->alert);
    }
}

static void check_silence(struct live_run *l, uint64_t now_ns) {
    if (l->run->record.progress.status != RUN_RUNNING) {
        return;
    }
    double silent_s = (double)(now_ns - l->last_activity_ns) * 1e-9;
    double allowed_s = l->app->config.alerts.stall_after_s;
    double pace_s = STALL_STEPS * l->run->step_seconds;
    allowed_s = pace_s > allowed_s ? pace_s : allowed_s;
    if (silent_s <= allowed_s) {
        return;
    }
    alerts_stalled(l->run->alerts, clock_wall_s(), silent_s, allowed_s, push_alert, l);
    push_rest(l);
    set_status(l, RUN_STALLED, 0);
    push_checkpoint(l);
}

void live_tick(struct app *app) {
    uint64_t now = clock_monotonic_ns();
    for (size_t b = 0; b < APP_RUN_BUCKETS; b++) {
        struct live_run *next;
        for (struct live_run *l = app->runs[b]; l; l = next) {
            next = l->next;
            check_silence(l, now);
            bool over = l->run->record.progress.status != RUN_RUNNING;
            if (over && l->n_conns == 0 && is_settled(l)) {
                live_remove(l); // the store has all of it
            }
        }
    }
}

struct names {
    char **list;
    size_t n;
};

static bool keep_name(void *context, const struct run_record *run) {
    struct names *names = context;
    names->list = must_grow(names->list, (names->n + 1) * sizeof *names->list);
    names->list[names->n++] = op_text(run->name);
    return true;
}

int live_restore_all(struct app *app, struct buf *error) {
    enum run_status running = RUN_RUNNING;
    struct run_filter filter = {.status = &running, .before_id = INT64_MAX};
    struct names names = {0};
    int rc = reader_runs(app->reader, &filter, INT64_MAX, keep_name, &names) < 0 ? -1 : 0;
    for (size_t i = 0; i < names.n; i++) {
        struct live_run *l = NULL;
        struct wire_error why;
        if (rc == 0 && live_load(app, names.list[i], &l, &why)) {
            log_error("run=%s stays as it was stored: %s", names.list[i], why.message);
        } else if (l) {
            publish(l);
        }
        free(names.list[i]);
    }
    free(names.list);
    if (rc) {
        buf_printf(error, "cannot list the runs: %s", reader_error(app->reader));
    } else if (names.n) {
        log_info("restored %zu running runs", names.n);
    }
    return rc;
}

void live_set_rules(struct app *app) {
    board_set_rules(app->board, app->rules);
    for (size_t b = 0; b < APP_RUN_BUCKETS; b++) {
        for (struct live_run *l = app->runs[b]; l; l = l->next) {
            alerts_set_rules(l->run->alerts, app->rules);
        }
    }
}

void live_checkpoint_all(struct app *app) {
    for (size_t b = 0; b < APP_RUN_BUCKETS; b++) {
        for (struct live_run *l = app->runs[b]; l; l = l->next) {
            push_checkpoint(l);
        }
    }
}

void live_destroy_all(struct app *app) {
    for (size_t b = 0; b < APP_RUN_BUCKETS; b++) {
        while (app->runs[b]) {
            live_remove(app->runs[b]);
        }
    }
}
