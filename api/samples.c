#include "api/samples.h"

#include "base/clock.h"
#include "base/num.h"
#include "probes/metric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool samples_have_label(const char *name) {
    static const char *const names[] = {"version", "code", "rule",  "severity",   "receiver",
                                        "le",      "run",  "layer", "thermometer"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void begin(const struct metrics_sink *sink, const struct metrics_family *f) {
    if (sink->begin) {
        sink->begin(sink->context, f);
    }
}

static void put(const struct metrics_sink *sink, const struct metrics_sample *s) {
    if (!num_is_missing(s->value)) {
        sink->put(sink->context, s);
    }
}

static const char *suffix_of(const struct metrics_family *f) {
    return strcmp(f->type, "counter") == 0 ? "_total" : "";
}

static void put_one(const struct metrics_sink *sink, const struct metrics_family *f, double value) {
    begin(sink, f);
    put(sink, &(struct metrics_sample){.family = f, .suffix = suffix_of(f), .value = value});
}

static void put_labelled(const struct metrics_sink *sink, const struct metrics_family *f,
                         const char *suffix, const char *label, const char *text, double value) {
    put(sink, &(struct metrics_sample){.family = f,
                                       .suffix = suffix,
                                       .labels = {{label, text}},
                                       .n_labels = 1,
                                       .value = value});
}

// -- the daemon ----------------------------------------------------------------------------------

static void put_counter(const struct metrics_sink *sink, const char *name, const char *unit,
                        const char *help, uint64_t value) {
    put_one(sink, &(struct metrics_family){name, "counter", unit, help}, (double)value);
}

static void put_gauge(const struct metrics_sink *sink, const char *name, const char *unit,
                      const char *help, double value) {
    put_one(sink, &(struct metrics_family){name, "gauge", unit, help}, value);
}

static void put_counters(const struct metrics_sink *sink, struct board_figures *f) {
    put_counter(sink, "pyrometer_steps_received", NULL, "Steps that jobs sent.", f->steps_received);
    put_counter(sink, "pyrometer_steps_repeated", NULL,
                "Steps that were stored already: acknowledged and dropped.", f->steps_repeated);
    put_counter(sink, "pyrometer_steps_durable", NULL, "Steps on disk.", f->steps_durable);
    put_counter(sink, "pyrometer_samples_received", NULL,
                "Numbers within the steps that jobs sent.", f->samples_received);
    put_counter(sink, "pyrometer_messages_received", NULL, "Messages that jobs sent.",
                f->messages_received);
    put_counter(sink, "pyrometer_received_bytes", "bytes", "Bytes that jobs sent.",
                f->bytes_received);
    put_counter(sink, "pyrometer_connections", NULL, "Connections of jobs taken.",
                f->connections_total);
    put_counter(sink, "pyrometer_connections_refused", NULL, "Connections of jobs refused.",
                f->connections_refused);
    put_counter(sink, "pyrometer_handshakes_failed", NULL,
                "TLS handshakes of jobs that failed or were not finished in time.",
                f->handshakes_failed);
    put_counter(sink, "pyrometer_commit_failures", NULL,
                "Commits that failed; each is tried again.", f->commit_failures);
    put_counter(sink, "pyrometer_alert_notices_delivered", NULL,
                "Changes of alerts that a receiver took.", f->notices_delivered);
    put_counter(sink, "pyrometer_alert_notices_failed", NULL,
                "Tries to deliver that failed; most are made again.", f->notices_failed);
}

static void put_build(const struct metrics_sink *sink, struct board_figures *f) {
    static const struct metrics_family build = {"pyrometer_build_info", "gauge", NULL,
                                                "1, with the daemon's version."};
    begin(sink, &build);
    put_labelled(sink, &build, "", "version", PYROMETER_VERSION, 1);
    put_gauge(sink, "process_start_time_seconds", "seconds",
              "When the daemon began, since the epoch.", (double)f->started_s);
}

static double lag_s(const struct board_figures *f) {
    uint64_t since = f->waiting_since_ns, now = clock_monotonic_ns();
    return since && now > since ? (double)(now - since) * 1e-9 : 0;
}

static void put_gauges(const struct metrics_sink *sink, struct board_figures *f, bool ready) {
    put_gauge(sink, "pyrometer_ready", NULL, "1 while steps can be stored.", ready);
    put_gauge(sink, "pyrometer_connections_open", NULL, "Connections of jobs that are open.",
              (double)f->connections_open);
    put_gauge(sink, "pyrometer_reads_paused", NULL,
              "Connections that are not read from until the disk catches up.",
              (double)f->reads_paused);
    put_gauge(sink, "pyrometer_queue_bytes", "bytes", "Read from jobs and not yet on disk.",
              (double)f->queue_bytes);
    put_gauge(sink, "pyrometer_lag_seconds", "seconds",
              "How long the oldest of it has waited for the disk.", lag_s(f));
    put_gauge(sink, "pyrometer_wal_bytes", "bytes", "The write-ahead log's size.",
              (double)f->wal_bytes);
    put_gauge(sink, "pyrometer_database_bytes", "bytes", "The database's size without that log.",
              (double)f->database_bytes);
    put_gauge(sink, "pyrometer_alert_notices_waiting", NULL,
              "Changes of alerts that wait for a receiver.", (double)f->notices_waiting);
    put_gauge(sink, "pyrometer_start_unclean", NULL,
              "1 when the daemon before this one did not close the store.",
              (double)f->unclean_starts);
}

// A rule may be there several times, for other layers or runs.
static bool is_first_of_name(const struct ruleset *rules, size_t i) {
    for (size_t j = 0; j < i; j++) {
        if (strcmp(ruleset_rule(rules, j)->name, ruleset_rule(rules, i)->name) == 0) {
            return false;
        }
    }
    return true;
}

static void put_refused(const struct metrics_sink *sink, struct board_figures *f) {
    static const struct metrics_family refused = {"pyrometer_messages_refused", "counter", NULL,
                                                  "Messages refused, by the code of the error."};
    begin(sink, &refused);
    for (int code = WIRE_OK + 1; code < WIRE_CODE_COUNT; code++) {
        put_labelled(sink, &refused, "_total", "code", wire_code_name((enum wire_code)code),
                     (double)f->refused[code]);
    }
}

static void put_alerts(const struct metrics_sink *sink, struct board *board,
                       const uint64_t firing[SAMPLE_SEVERITIES]) {
    static const struct metrics_family fired = {"pyrometer_alerts_fired", "counter", NULL,
                                                "Alerts that fired, by rule."};
    static const struct metrics_family fires = {
        "pyrometer_alerts_firing", "gauge", NULL,
        "Alerts that fire, by severity; silenced ones too."};
    struct ruleset *rules = board_rules(board);
    begin(sink, &fired);
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        const char *name = ruleset_rule(rules, i)->name;
        if (is_first_of_name(rules, i)) {
            put_labelled(sink, &fired, "_total", "rule", name, (double)board_fired(board, name));
        }
    }
    ruleset_release(rules);
    if (!firing) {
        return;
    }
    begin(sink, &fires);
    for (int severity = 0; severity < SAMPLE_SEVERITIES; severity++) {
        put_labelled(sink, &fires, "", "severity", severity_name((enum severity)severity),
                     (double)firing[severity]);
    }
}

static bool count_severity(void *context, const struct alert_record *alert) {
    uint64_t *firing = context;
    firing[alert->severity]++;
    return true;
}

bool samples_count_firing(struct reader *reader, uint64_t firing[SAMPLE_SEVERITIES]) {
    struct alert_filter filter = {.state = ALERT_FIRING, .severity = -1, .before_id = INT64_MAX};
    memset(firing, 0, SAMPLE_SEVERITIES * sizeof *firing);
    return reader_alerts(reader, &filter, INT64_MAX, count_severity, firing) >= 0;
}

static void put_commits(const struct metrics_sink *sink, struct board_figures *f) {
    static const struct metrics_family commits = {
        "pyrometer_commit_seconds", "histogram", "seconds",
        "How long it took until a transaction was on disk."};
    uint64_t count = 0;
    begin(sink, &commits);
    for (size_t i = 0; i <= BOARD_COMMIT_BOUNDS; i++) {
        char bound[NUM_TEXT_MAX] = "+Inf";
        if (i < BOARD_COMMIT_BOUNDS) {
            num_format(bound, board_commit_bounds_s[i]);
        }
        count += f->commit_seconds_bucket[i];
        put_labelled(sink, &commits, "_bucket", "le", bound, (double)count);
    }
    put(sink, &(struct metrics_sample){.family = &commits,
                                       .suffix = "_sum",
                                       .value = (double)f->commit_nanoseconds * 1e-9});
    put(sink,
        &(struct metrics_sample){.family = &commits, .suffix = "_count", .value = (double)count});
}

// What remote write did, by the receiver's name.
static void put_remotes(const struct metrics_sink *sink, struct board *board) {
    static const struct {
        struct metrics_family family;
        size_t at;
    } all[] = {
        {{"pyrometer_remote_write_samples", "counter", NULL, "Samples that a receiver took."},
         offsetof(struct board_remote, sent)},
        {{"pyrometer_remote_write_samples_failed", "counter", NULL,
          "Samples of tries that failed; they are sent again."},
         offsetof(struct board_remote, failed)},
        {{"pyrometer_remote_write_samples_dropped", "counter", NULL,
          "Samples that a receiver refused for good, or that found no room to wait for it."},
         offsetof(struct board_remote, dropped)},
        {{"pyrometer_remote_write_samples_waiting", "gauge", NULL,
          "Samples that wait for a receiver."},
         offsetof(struct board_remote, waiting)},
    };
    struct board_remote remotes[LIMIT_REMOTE_WRITE];
    size_t n = board_remotes(board, remotes);
    for (size_t i = 0; n && i < sizeof all / sizeof *all; i++) {
        begin(sink, &all[i].family);
        for (size_t r = 0; r < n; r++) {
            uint64_t value;
            memcpy(&value, (const char *)&remotes[r] + all[i].at, sizeof value);
            put_labelled(sink, &all[i].family, suffix_of(&all[i].family), "receiver",
                         remotes[r].name, (double)value);
        }
    }
}

void samples_of_daemon(struct board *board, const uint64_t firing[SAMPLE_SEVERITIES],
                       const struct metrics_sink *sink) {
    struct board_figures *f = board_figures(board);
    char reason[8];
    put_build(sink, f);
    put_counters(sink, f);
    put_gauges(sink, f, board_ready(board, reason, sizeof reason));
    put_refused(sink, f);
    put_alerts(sink, board, firing);
    put_remotes(sink, board);
    put_commits(sink, f);
    put_gauge(sink, "pyrometer_runs_live", NULL, "Runs that are live.", (double)board_count(board));
}

// -- runs ----------------------------------------------------------------------------------------

static double newest_step(const struct snapshot *s) {
    return (double)s->step;
}

static double newest_loss(const struct snapshot *s) {
    return s->record.progress.loss;
}

static double last_seen(const struct snapshot *s) {
    return s->record.progress.last_seen;
}

static const struct run_gauge {
    struct metrics_family family;
    double (*value)(const struct snapshot *);
} run_gauges[] = {
    {{"pyrometer_run_step", "gauge", NULL, "A live run's newest step."}, newest_step},
    {{"pyrometer_run_loss", "gauge", NULL, "A live run's newest loss."}, newest_loss},
    {{"pyrometer_run_last_seen_seconds", "gauge", "seconds",
      "When a live run last sent something, since the epoch."},
     last_seen},
};
#define RUN_GAUGES (sizeof run_gauges / sizeof *run_gauges)

static void put_run_gauge(const struct run_gauge *g, const struct snapshot *s,
                          const struct metrics_sink *sink) {
    put_labelled(sink, &g->family, "", "run", s->record.name, g->value(s));
}

static const struct metrics_family temperature = {
    "pyrometer_temperature", "gauge", NULL,
    "Newest temperatures of the live runs; an empty layer is the whole run."};

// How many temperatures may be shown still, and how many were not.
struct room {
    size_t left;
    uint64_t left_out;
};

// Of one body: the readings that there are.
static void put_body(const struct snapshot *s, const char *layer,
                     const struct reading r[METRIC_COUNT], struct room *room,
                     const struct metrics_sink *sink) {
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        if (!metric_is_temperature(m) || r[m].reason) {
            continue;
        }
        if (room->left == 0) {
            room->left_out++;
            continue;
        }
        room->left--;
        put(sink, &(struct metrics_sample){.family = &temperature,
                                           .suffix = "",
                                           .labels = {{"run", s->record.name},
                                                      {"layer", layer},
                                                      {"thermometer", metric_name(m)}},
                                           .n_labels = 3,
                                           .value = r[m].value});
    }
}

static void put_layers(const struct snapshot *s, struct room *room,
                       const struct metrics_sink *sink) {
    for (size_t l = 0; l < s->n_layers; l++) {
        struct reading r[METRIC_COUNT];
        reading_table_row(&s->layers, l, r);
        put_body(s, s->layer_names[l], r, room, sink);
    }
}

void samples_of_run(const struct snapshot *s, const struct metrics_sink *sink) {
    struct room room = {.left = SIZE_MAX};
    for (size_t g = 0; g < RUN_GAUGES; g++) {
        put_run_gauge(&run_gauges[g], s, sink);
    }
    put_body(s, "", s->global, &room, sink);
    put_layers(s, &room, sink);
}

void samples_of_runs(struct snapshot *const *runs, size_t n, size_t max_temperatures,
                     const struct metrics_sink *sink) {
    struct room room = {.left = max_temperatures};
    for (size_t g = 0; g < RUN_GAUGES; g++) {
        begin(sink, &run_gauges[g].family);
        for (size_t i = 0; i < n && i < max_temperatures; i++) {
            put_run_gauge(&run_gauges[g], runs[i], sink);
        }
    }
    begin(sink, &temperature);
    for (size_t i = 0; i < n; i++) {
        put_body(runs[i], "", runs[i]->global, &room, sink);
    }
    for (size_t i = 0; i < n; i++) {
        put_layers(runs[i], &room, sink);
    }
    put_gauge(sink, "pyrometer_temperatures_left_out", NULL,
              "Temperatures that are not shown here because there are too many.",
              (double)room.left_out);
}
