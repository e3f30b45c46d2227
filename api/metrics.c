// GET /metrics: OpenMetrics 1.0 text, or the older text format 0.0.4 for those that ask for it.
// They differ in the names of families (a counter's ends in _total in the older one), in units
// (comments there) and in the end mark. Who asks for neither gets what readers of both take:
// OpenMetrics whose counters have no type, since a type would name a family that the other format
// does not know.
#include "api/metrics.h"

#include "api/handlers.h"
#include "base/clock.h"
#include "base/num.h"
#include "probes/metric.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_BYTES_MAX ((size_t)1 << 26)
#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void begin_family(struct buf *out, const char *name, const char *type, const char *unit,
                         const char *help) {
    buf_printf(out, "# TYPE %s %s\n", name, type);
    if (unit) {
        buf_printf(out, "# UNIT %s %s\n", name, unit);
    }
    buf_printf(out, "# HELP %s %s\n", name, help);
}

void metrics_put_label(struct buf *out, const char *name, const char *value) {
    buf_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n') {
            buf_puts(out, "\\n");
        } else {
            if (*value == '"' || *value == '\\') {
                buf_putc(out, '\\');
            }
            buf_putc(out, *value);
        }
    }
    buf_putc(out, '"');
}

void metrics_put_number(struct buf *out, double x) {
    if (isnan(x)) {
        buf_puts(out, "NaN");
    } else if (isinf(x)) {
        buf_puts(out, x > 0 ? "+Inf" : "-Inf");
    } else {
        char text[NUM_TEXT_MAX];
        buf_put(out, text, num_format(text, x));
    }
}

static void put_counter(struct buf *out, const char *name, const char *unit, const char *help,
                        uint64_t value) {
    begin_family(out, name, "counter", unit, help);
    buf_printf(out, "%s_total %" PRIu64 "\n", name, value);
}

static void put_gauge(struct buf *out, const char *name, const char *unit, const char *help,
                      uint64_t value) {
    begin_family(out, name, "gauge", unit, help);
    buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_counters(struct buf *out, struct board_figures *f) {
    put_counter(out, "pyrometer_steps_received", NULL, "Steps that jobs sent.", f->steps_received);
    put_counter(out, "pyrometer_steps_repeated", NULL,
                "Steps that were stored already: acknowledged and dropped.", f->steps_repeated);
    put_counter(out, "pyrometer_steps_durable", NULL, "Steps on disk.", f->steps_durable);
    put_counter(out, "pyrometer_samples_received", NULL, "Numbers within the steps that jobs sent.",
                f->samples_received);
    put_counter(out, "pyrometer_messages_received", NULL, "Messages that jobs sent.",
                f->messages_received);
    put_counter(out, "pyrometer_received_bytes", "bytes", "Bytes that jobs sent.",
                f->bytes_received);
    put_counter(out, "pyrometer_connections", NULL, "Connections of jobs taken.",
                f->connections_total);
    put_counter(out, "pyrometer_connections_refused", NULL, "Connections of jobs refused.",
                f->connections_refused);
    put_counter(out, "pyrometer_handshakes_failed", NULL,
                "TLS handshakes of jobs that failed or were not finished in time.",
                f->handshakes_failed);
    put_counter(out, "pyrometer_commit_failures", NULL, "Commits that failed; each is tried again.",
                f->commit_failures);
    put_counter(out, "pyrometer_alert_notices_delivered", NULL,
                "Changes of alerts that a receiver took.", f->notices_delivered);
    put_counter(out, "pyrometer_alert_notices_failed", NULL,
                "Tries to deliver that failed; most are made again.", f->notices_failed);
}

static void put_daemon(struct buf *out, struct board_figures *f) {
    begin_family(out, "pyrometer_build_info", "gauge", NULL, "1, with the daemon's version.");
    buf_puts(out, "pyrometer_build_info{version=\"" PYROMETER_VERSION "\"} 1\n");
    put_gauge(out, "process_start_time_seconds", "seconds",
              "When the daemon began, since the epoch.", f->started_s);
}

static void put_gauges(struct buf *out, struct board_figures *f, bool ready) {
    put_gauge(out, "pyrometer_ready", NULL, "1 while steps can be stored.", ready);
    put_gauge(out, "pyrometer_connections_open", NULL, "Connections of jobs that are open.",
              f->connections_open);
    put_gauge(out, "pyrometer_reads_paused", NULL,
              "Connections that are not read from until the disk catches up.", f->reads_paused);
    put_gauge(out, "pyrometer_queue_bytes", "bytes", "Read from jobs and not yet on disk.",
              f->queue_bytes);
    uint64_t since = f->waiting_since_ns, now = clock_monotonic_ns();
    begin_family(out, "pyrometer_lag_seconds", "gauge", "seconds",
                 "How long the oldest of it has waited for the disk.");
    buf_puts(out, "pyrometer_lag_seconds ");
    metrics_put_number(out, since && now > since ? (double)(now - since) * 1e-9 : 0);
    buf_putc(out, '\n');
    put_gauge(out, "pyrometer_wal_bytes", "bytes", "The write-ahead log's size.", f->wal_bytes);
    put_gauge(out, "pyrometer_database_bytes", "bytes", "The database's size without that log.",
              f->database_bytes);
    put_gauge(out, "pyrometer_alert_notices_waiting", NULL,
              "Changes of alerts that wait for a receiver.", f->notices_waiting);
    put_gauge(out, "pyrometer_start_unclean", NULL,
              "1 when the daemon before this one did not close the store.", f->unclean_starts);
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

static void put_labelled(struct buf *out, struct board_figures *f, struct board *board) {
    begin_family(out, "pyrometer_messages_refused", "counter", NULL,
                 "Messages refused, by the code of the error.");
    for (int code = WIRE_OK + 1; code < WIRE_CODE_COUNT; code++) {
        buf_printf(out, "pyrometer_messages_refused_total{code=\"%s\"} %" PRIu64 "\n",
                   wire_code_name((enum wire_code)code), f->refused[code]);
    }
    begin_family(out, "pyrometer_alerts_fired", "counter", NULL, "Alerts that fired, by rule.");
    struct ruleset *rules = board_rules(board);
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        const char *name = ruleset_rule(rules, i)->name;
        if (is_first_of_name(rules, i)) {
            buf_printf(out, "pyrometer_alerts_fired_total{rule=\"%s\"} %" PRIu64 "\n", name,
                       board_fired(board, name));
        }
    }
    ruleset_release(rules);
}

static void put_firing(struct buf *out, const uint64_t firing[METRICS_SEVERITIES]) {
    begin_family(out, "pyrometer_alerts_firing", "gauge", NULL,
                 "Alerts that fire, by severity; silenced ones too.");
    for (int severity = 0; severity < METRICS_SEVERITIES; severity++) {
        buf_printf(out, "pyrometer_alerts_firing{severity=\"%s\"} %" PRIu64 "\n",
                   severity_name((enum severity)severity), firing[severity]);
    }
}

static void put_commits(struct buf *out, struct board_figures *f) {
    uint64_t count = 0;
    begin_family(out, "pyrometer_commit_seconds", "histogram", "seconds",
                 "How long it took until a transaction was on disk.");
    for (size_t i = 0; i <= BOARD_COMMIT_BOUNDS; i++) {
        count += f->commit_seconds_bucket[i];
        buf_puts(out, "pyrometer_commit_seconds_bucket{le=\"");
        metrics_put_number(out,
                           i < BOARD_COMMIT_BOUNDS ? board_commit_bounds_s[i] : (double)INFINITY);
        buf_printf(out, "\"} %" PRIu64 "\n", count);
    }
    buf_puts(out, "pyrometer_commit_seconds_sum ");
    metrics_put_number(out, (double)f->commit_nanoseconds * 1e-9);
    buf_printf(out, "\npyrometer_commit_seconds_count %" PRIu64 "\n", count);
}

struct runs {
    struct snapshot **at;
    size_t n;
};

static void put_run_gauge(struct buf *out, const char *name, const char *unit, const char *help,
                          const struct runs *runs, double (*value)(const struct snapshot *)) {
    begin_family(out, name, "gauge", unit, help);
    for (size_t i = 0; i < runs->n && i < METRICS_SAMPLES_MAX; i++) {
        buf_printf(out, "%s{", name);
        metrics_put_label(out, "run", runs->at[i]->record.name);
        buf_puts(out, "} ");
        metrics_put_number(out, value(runs->at[i]));
        buf_putc(out, '\n');
    }
}

static double newest_step(const struct snapshot *s) {
    return (double)s->step;
}

static double newest_loss(const struct snapshot *s) {
    return s->record.progress.loss;
}

static double last_seen(const struct snapshot *s) {
    return s->record.progress.last_seen;
}

static void put_temperature(struct buf *out, const struct snapshot *s, const char *layer,
                            enum metric m, double value) {
    buf_puts(out, "pyrometer_temperature{");
    metrics_put_label(out, "run", s->record.name);
    buf_putc(out, ',');
    metrics_put_label(out, "layer", layer);
    buf_printf(out, ",thermometer=\"%s\"} ", metric_name(m));
    metrics_put_number(out, value);
    buf_putc(out, '\n');
}

// Of one body: the readings that there are, as far as `room` goes.
static void put_body(struct buf *out, const struct snapshot *s, const char *layer,
                     const struct reading r[METRIC_COUNT], size_t *room, uint64_t *left_out) {
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (!metric_is_temperature((enum metric)m) || r[m].reason) {
            continue;
        }
        if (*room == 0) {
            ++*left_out;
        } else {
            --*room;
            put_temperature(out, s, layer, (enum metric)m, r[m].value);
        }
    }
}

// Whole runs first: when there is no room for all, it is layers that are left out.
static void put_temperatures(struct buf *out, const struct runs *runs) {
    size_t room = METRICS_SAMPLES_MAX;
    uint64_t left_out = 0;
    begin_family(out, "pyrometer_temperature", "gauge", NULL,
                 "Newest temperatures of the live runs; an empty layer is the whole run.");
    for (size_t i = 0; i < runs->n; i++) {
        put_body(out, runs->at[i], "", runs->at[i]->global, &room, &left_out);
    }
    for (size_t i = 0; i < runs->n; i++) {
        const struct snapshot *s = runs->at[i];
        for (size_t l = 0; l < s->n_layers; l++) {
            struct reading r[METRIC_COUNT];
            reading_table_row(&s->layers, l, r);
            put_body(out, s, s->layer_names[l], r, &room, &left_out);
        }
    }
    put_gauge(out, "pyrometer_temperatures_left_out", NULL,
              "Temperatures that are not shown here because there are too many.", left_out);
}

void metrics_print(struct buf *out, struct board *board,
                   const uint64_t firing[METRICS_SEVERITIES]) {
    struct board_figures *f = board_figures(board);
    struct runs runs;
    char reason[8];
    bool ready = board_ready(board, reason, sizeof reason);
    runs.n = board_all(board, &runs.at);
    put_daemon(out, f);
    put_counters(out, f);
    put_gauges(out, f, ready);
    put_labelled(out, f, board);
    if (firing) {
        put_firing(out, firing);
    }
    put_commits(out, f);
    put_gauge(out, "pyrometer_runs_live", NULL, "Runs that are live.", runs.n);
    put_run_gauge(out, "pyrometer_run_step", NULL, "A live run's newest step.", &runs, newest_step);
    put_run_gauge(out, "pyrometer_run_loss", NULL, "A live run's newest loss.", &runs, newest_loss);
    put_run_gauge(out, "pyrometer_run_last_seen_seconds", "seconds",
                  "When a live run last sent something, since the epoch.", &runs, last_seen);
    put_temperatures(out, &runs);
    buf_puts(out, "# EOF\n");
    for (size_t i = 0; i < runs.n; i++) {
        snapshot_unref(runs.at[i]);
    }
    free(runs.at);
}

static bool begins(const char *line, size_t len, const char *with) {
    size_t n = strlen(with);
    return len >= n && memcmp(line, with, n) == 0;
}

static bool is_kept(const char *line, size_t len, bool is_counter, enum metrics_form form) {
    bool is_unit = begins(line, len, "# UNIT ");
    if (form == METRICS_TEXT) {
        return !is_unit && !begins(line, len, "# EOF");
    }
    return !is_counter || !(is_unit || begins(line, len, "# TYPE "));
}

void metrics_convert(const char *open, enum metrics_form form, struct buf *out) {
    static const char type[] = "# TYPE ", help[] = "# HELP ", counter[] = " counter";
    bool is_counter = false;
    for (size_t len; *open; open += len + (open[len] == '\n')) {
        len = strcspn(open, "\n");
        bool is_type = begins(open, len, type), is_help = begins(open, len, help);
        if (is_type) {
            is_counter = len > sizeof counter && memcmp(open + len - (sizeof counter - 1), counter,
                                                        sizeof counter - 1) == 0;
        }
        if (!is_kept(open, len, is_counter, form)) {
            continue;
        }
        size_t name = is_type || is_help ? 7 + strcspn(open + 7, " ") : len;
        buf_put(out, open, name);
        buf_puts(out, is_counter && name < len ? "_total" : "");
        buf_put(out, open + name, len - name);
        buf_putc(out, '\n');
    }
}

// The figures as they were when somebody last looked, to tell whether they have changed.
#define FIGURES (sizeof(struct board_figures) / sizeof(_Atomic uint64_t))

struct metrics_watch {
    pthread_mutex_t lock;
    uint64_t seen[FIGURES];
    uint64_t changes;
};

struct metrics_watch *metrics_watch_create(void) {
    struct metrics_watch *w = NEW(struct metrics_watch);
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void metrics_watch_destroy(struct metrics_watch *w) {
    pthread_mutex_destroy(&w->lock);
    free(w);
}

// Grows with every change of what the metrics show.
static uint64_t version(struct api *a) {
    struct metrics_watch *w = a->metrics;
    const _Atomic uint64_t *figures = (const _Atomic uint64_t *)board_figures(a->board);
    bool changed = false;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < FIGURES; i++) {
        uint64_t now = atomic_load_explicit(&figures[i], memory_order_relaxed);
        changed = changed || now != w->seen[i];
        w->seen[i] = now;
    }
    w->changes += changed || board_figures(a->board)->waiting_since_ns; // the lag grows by itself
    uint64_t all = w->changes + board_version(a->board);
    pthread_mutex_unlock(&w->lock);
    return all;
}

static enum metrics_form wanted_form(const struct request *q) {
    const char *accept = request_header(q, MHD_HTTP_HEADER_ACCEPT);
    if (accept && strstr(accept, "openmetrics-text")) {
        return METRICS_OPEN;
    }
    return accept && strstr(accept, "text/plain") ? METRICS_TEXT : METRICS_COMMON;
}

static const char *const keys[] = {[METRICS_OPEN] = "/metrics open",
                                   [METRICS_TEXT] = "/metrics text",
                                   [METRICS_COMMON] = "/metrics"};

static bool count_severity(void *context, const struct alert_record *alert) {
    uint64_t *firing = context;
    firing[alert->severity]++;
    return true;
}

// False when the store cannot be read: the other figures are shown all the same.
static bool count_firing(struct reader *reader, uint64_t firing[METRICS_SEVERITIES]) {
    struct alert_filter filter = {.state = ALERT_FIRING, .severity = -1, .before_id = INT64_MAX};
    return reader_alerts(reader, &filter, INT64_MAX, count_severity, firing) >= 0;
}

static enum MHD_Result make_metrics(struct request *q) {
    enum metrics_form form = wanted_form(q);
    enum MHD_Result rc;
    if (request_shelved(q, keys[form], &rc)) { // made while this request waited for a worker
        return rc;
    }
    uint64_t made = version(q->api);
    struct buf open, other;
    buf_init(&open, METRICS_BYTES_MAX);
    buf_init(&other, METRICS_BYTES_MAX);
    uint64_t firing[METRICS_SEVERITIES] = {0};
    metrics_print(&open, q->api->board, count_firing(q->reader, firing) ? firing : NULL);
    if (form != METRICS_OPEN) {
        metrics_convert(buf_str(&open), form, &other);
    }
    rc = answer_shelved(q, keys[form], made, form == METRICS_OPEN ? &open : &other,
                        form == METRICS_TEXT ? TEXT_TYPE : METRICS_TYPE);
    buf_free(&open);
    buf_free(&other);
    return rc;
}

enum MHD_Result metrics_get(struct request *q) {
    enum MHD_Result rc;
    q->arrived = version(q->api);
    return request_shelved(q, keys[wanted_form(q)], &rc) ? rc
                                                         : request_defer(q, make_metrics, false);
}
