// Every setting there is. The loader, the effective configuration, the sample file and the table in
// docs/configuration.md all come from here, so that none of them can say something else.
#include "config/table.h"
#include "base/check.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

static const char *const bool_names[] = {"false", "true", NULL};
static const char *const durability_names[] = {"full", "normal", NULL};
static const char *const severity_names[] = {"", "info", "warning", "critical", NULL};
static const char *const format_names[] = {"alertmanager", "generic", NULL};

#define FIELD(member) .offset = offsetof(struct config, member)
#define LIST(member, count)                                                                        \
    .offset = offsetof(struct config, member), .count_offset = offsetof(struct config, count)
#define OF_RULE(member) .offset = offsetof(struct config_rule, member)
#define OF_REMOTE(member) .offset = offsetof(struct config_remote_write, member)

static const struct setting rule_settings[] = {
    {.key = "rule",
     .type = &type_rule,
     OF_RULE(rule),
     .example = "overheating",
     .required = true,
     .help = "The built-in rule that this entry changes, or the name of one of your own."},
    {.key = "metric",
     .type = &type_text,
     OF_RULE(metric),
     .example = "scalar.power_w",
     .help = "What a rule of your own judges: loss, lr, scalar.NAME, a reading or a statistic."},
    {.key = "enabled",
     .type = &type_bool,
     OF_RULE(enabled),
     .initial = "true",
     .choices = bool_names,
     .help = "false switches the rule off."},
    {.key = "severity",
     .type = &type_choice,
     OF_RULE(severity),
     .choices = severity_names,
     .example = "warning",
     .help = "How much the alert matters."},
    {.key = "fire_above",
     .type = &type_number,
     OF_RULE(fire_above),
     .example = "2.5",
     .help = "The value above which the condition holds."},
    {.key = "clear_below",
     .type = &type_number,
     OF_RULE(clear_below),
     .example = "2.0",
     .help = "The value below which it is gone; not above fire_above."},
    {.key = "fire_below",
     .type = &type_number,
     OF_RULE(fire_below),
     .example = "0.5",
     .help = "The value below which the condition of a rule of your own holds."},
    {.key = "clear_above",
     .type = &type_number,
     OF_RULE(clear_above),
     .example = "0.6",
     .help = "The value above which that is gone; not under fire_below."},
    {.key = "for",
     .type = &type_span,
     OF_RULE(for_span),
     .example = "5",
     .help = "How long the condition must hold before the alert fires."},
    {.key = "keep_firing_for",
     .type = &type_span,
     OF_RULE(keep_firing_for),
     .example = "10",
     .help = "How long it must be gone before the alert is resolved."},
    {.key = "warmup_steps",
     .type = &type_count,
     OF_RULE(warmup_steps),
     .max = 1000000000,
     .example = "100",
     .help = "First steps of a run that are not judged."},
    {.key = "window",
     .type = &type_count,
     OF_RULE(window),
     .min = 1,
     .max = 1000000000,
     .example = "50",
     .help = "Steps over which a rule of your own averages."},
    {.key = "layer",
     .type = &type_glob,
     OF_RULE(layer),
     .example = "\"fc*\"",
     .help = "Only layers whose name matches."},
    {.key = "run",
     .type = &type_glob,
     OF_RULE(run),
     .example = "\"resnet-*\"",
     .help = "Only runs whose name matches."},
    {.key = "project",
     .type = &type_glob,
     OF_RULE(project),
     .example = "vision",
     .help = "Only runs whose project matches."},
    {.key = "labels",
     .type = &type_words,
     OF_RULE(labels),
     .example = "{team: vision}",
     .help = "Labels that the alert's notifications carry."},
    {.key = "annotations",
     .type = &type_words,
     OF_RULE(annotations),
     .example = "{runbook: \"https://example.org/runbook\"}",
     .help = "Texts that the alert's notifications carry; {{ $value }}, {{ $labels.layer }} and "
             "the like are replaced."},
    {0},
};

static const struct setting webhook_settings[] = {
    {.key = "url",
     .type = &type_url,
     .offset = offsetof(struct config_webhook, url),
     .example = "http://alertmanager:9093/api/v2/alerts",
     .required = true,
     .or_else = "url_file",
     .help = "Where alerts are posted."},
    {.key = "format",
     .type = &type_choice,
     .offset = offsetof(struct config_webhook, format),
     .initial = "alertmanager",
     .choices = format_names,
     .help = "alertmanager: everything that fires goes to Alertmanager's API v2, again and again. "
             "generic: a POST a change, in the form of Alertmanager's own webhooks."},
    {.key = "severity_from",
     .type = &type_choice,
     .offset = offsetof(struct config_webhook, severity_from),
     .choices = severity_names,
     .example = "critical",
     .help = "Less severe alerts are not sent here; alerts.severity_from unless given."},
    {.key = "resend",
     .type = &type_seconds,
     .offset = offsetof(struct config_webhook, resend_s),
     .initial = "60s",
     .min = 1,
     .max = 3600,
     .help = "Format alertmanager: how often what fires is sent again. Alertmanager takes an alert "
             "as resolved when it has not come for three times as long."},
    {.key = "token_file",
     .type = &type_text,
     .offset = offsetof(struct config_webhook, token_file),
     .example = "/etc/pyrometer/webhook.token",
     .help = "A file with a token for the header Authorization: Bearer."},
    {.key = "url_file",
     .type = &type_text,
     .offset = offsetof(struct config_webhook, url_file),
     .example = "/etc/pyrometer/webhook.url",
     .help =
         "A file with the URL, in place of url, where its path is a secret: of it only the host "
         "is shown."},
    {.key = "secret_file",
     .type = &type_text,
     .offset = offsetof(struct config_webhook, secret_file),
     .example = "/etc/pyrometer/webhook.secret",
     .help = "A file with the key that signs the body (X-Pyrometer-Signature). Not set: not "
             "signed."},
    {0},
};

static const struct setting remote_write_settings[] = {
    {.key = "url",
     .type = &type_url,
     OF_REMOTE(url),
     .example = "http://prometheus:9090/api/v1/write",
     .required = true,
     .or_else = "url_file",
     .help = "Where samples are written."},
    {.key = "url_file",
     .type = &type_text,
     OF_REMOTE(url_file),
     .example = "/etc/pyrometer/remote.url",
     .help = "A file with the URL, in place of url, where it holds a secret, such as "
             "https://USER:PASSWORD@HOST/PATH: of it only the host is shown."},
    {.key = "name",
     .type = &type_name,
     OF_REMOTE(name),
     .example = "central",
     .help = "What the receiver is called in the log and in /metrics; its address unless given."},
    {.key = "interval",
     .type = &type_duration_ms,
     OF_REMOTE(interval_ms),
     .initial = "15s",
     .min = 100,
     .max = 3600000,
     .help = "How often the newest readings are written."},
    {.key = "token_file",
     .type = &type_text,
     OF_REMOTE(token_file),
     .example = "/etc/pyrometer/remote.token",
     .help = "A file with a token for the header Authorization: Bearer."},
    {.key = "headers",
     .type = &type_headers,
     OF_REMOTE(headers),
     .example = "{X-Scope-OrgID: research}",
     .help = "Further headers of every request."},
    {.key = "labels",
     .type = &type_words,
     OF_REMOTE(labels),
     .example = "{instance: gpu-7}",
     .help = "Labels that every series gets, so that several daemons can write to one store."},
    {.key = "max_queue",
     .type = &type_size,
     OF_REMOTE(queue_bytes),
     .initial = "64MiB",
     .min = LIMIT_REMOTE_QUEUE_MIN,
     .max = LIMIT_REMOTE_QUEUE_MAX,
     .help = "What may wait in memory, compressed, for a receiver that is slow or down; above it "
             "the oldest samples are dropped."},
    {0},
};

const struct setting config_table[] = {
    {.key = "data",
     .type = &type_text,
     FIELD(data),
     .example = "/var/lib/pyrometer",
     .help = "The store's directory. Unless given: $STATE_DIRECTORY (systemd sets it), else "
             "$XDG_STATE_HOME/pyrometer, else ~/.local/state/pyrometer."},
    {.key = "ingest.listen",
     .type = &type_address,
     LIST(ingest.listen, ingest.n_listen),
     .initial = "127.0.0.1:27315",
     .required = true,
     .max_entries = LIMIT_LISTENERS,
     .entry_size = sizeof(char *),
     .help = "Where jobs connect: one address or a list. Port 0 is any free one."},
    {.key = "ingest.max_message",
     .type = &type_size,
     FIELD(ingest.max_message_bytes),
     .initial = "1MiB",
     .min = LIMIT_MESSAGE_BYTES_MIN,
     .max = LIMIT_MESSAGE_BYTES_MAX,
     .help = "The longest line or frame that is read; a longer one closes its connection."},
    {.key = "ingest.ack_interval",
     .type = &type_duration_ms,
     FIELD(ingest.ack_interval_ms),
     .initial = "100ms",
     .min = 1,
     .max = 10000,
     .help = "The longest a step waits to be written together with others and acknowledged."},
    {.key = "ingest.max_connections",
     .type = &type_count,
     FIELD(ingest.max_connections),
     .initial = "1024",
     .min = 1,
     .max = LIMIT_CONNECTIONS,
     .help = "Jobs connected at once; one more is refused with 'overloaded'."},
    {.key = "ingest.max_queue",
     .type = &type_size,
     FIELD(ingest.queue_bytes),
     .initial = "64MiB",
     .min = LIMIT_QUEUE_BYTES_MIN,
     .max = LIMIT_QUEUE_BYTES_MAX,
     .help = "What may wait in memory for the disk before the daemon stops reading from jobs; at "
             "least max_message."},
    {.key = "ingest.rank_wait",
     .type = &type_duration_ms,
     FIELD(ingest.rank_wait_ms),
     .initial = "10s",
     .min = LIMIT_RANK_WAIT_MS_MIN,
     .max = LIMIT_RANK_WAIT_MS_MAX,
     .help = "How long a step of a run of shards waits for a rank that is behind or gone before it "
             "is merged without it."},
    {.key = "ingest.token_file",
     .type = &type_text,
     FIELD(ingest.token_file),
     .example = "/etc/pyrometer/ingest.token",
     .is_reloadable = true,
     .help = "A file with the token that every job must send. Not set: none is wanted."},
    {.key = "ingest.tls.cert",
     .type = &type_text,
     FIELD(ingest.tls.cert),
     .example = "/etc/pyrometer/cert.pem",
     .is_reloadable = true,
     .help = "The certificate chain (PEM). With ingest.tls.key: jobs on other machines come over "
             "TLS only; Unix sockets stay plain."},
    {.key = "ingest.tls.key",
     .type = &type_text,
     FIELD(ingest.tls.key),
     .example = "/etc/pyrometer/key.pem",
     .is_reloadable = true,
     .help = "The certificate's private key (PEM), without a passphrase."},
    {.key = "ingest.tls.handshake_wait",
     .type = &type_duration_ms,
     FIELD(ingest.handshake_wait_ms),
     .initial = "10s",
     .min = LIMIT_HANDSHAKE_WAIT_MS_MIN,
     .max = LIMIT_HANDSHAKE_WAIT_MS_MAX,
     .is_reloadable = true,
     .help = "How long a job may take from connecting to the end of the TLS handshake before its "
             "connection is closed."},
    {.key = "http.listen",
     .type = &type_tcp_address,
     FIELD(http.listen),
     .initial = "127.0.0.1:27316",
     .help = "Where the REST API and the dashboard are. Port 0 is any free one."},
    {.key = "http.max_connections",
     .type = &type_count,
     FIELD(http.max_connections),
     .initial = "4096",
     .min = 1,
     .max = LIMIT_HTTP_CONNECTIONS,
     .help = "Clients connected at once; further ones wait."},
    {.key = "http.max_points",
     .type = &type_count,
     FIELD(http.max_points),
     .initial = "100000",
     .min = 100,
     .max = LIMIT_SERIES_POINTS,
     .help = "The most points one request for series gets."},
    {.key = "http.heartbeat",
     .type = &type_duration_ms,
     FIELD(http.heartbeat_ms),
     .initial = "15s",
     .min = LIMIT_HEARTBEAT_MS_MIN,
     .max = LIMIT_HEARTBEAT_MS_MAX,
     .help =
         "How often an event stream on which nothing happens gets a comment. It keeps proxies from "
         "closing it, and finds clients that are gone."},
    {.key = "http.cors_origins",
     .type = &type_origin,
     LIST(http.cors_origins, http.n_cors_origins),
     .example = "https://grafana.example.org",
     .max_entries = LIMIT_ORIGINS,
     .entry_size = sizeof(char *),
     .help = "Other sites whose pages may use the API in a browser: one origin or a list. \"*\" "
             "lets the pages of every site read, but change nothing."},
    {.key = "http.token_file",
     .type = &type_text,
     FIELD(http.token_file),
     .example = "/etc/pyrometer/http.token",
     .is_reloadable = true,
     .help = "A file with the token that every request but /healthz must bear. Not set: none is "
             "wanted."},
    {.key = "http.tls.cert",
     .type = &type_text,
     FIELD(http.tls.cert),
     .example = "/etc/pyrometer/cert.pem",
     .help = "The certificate chain (PEM). With http.tls.key: HTTPS instead of HTTP."},
    {.key = "http.tls.key",
     .type = &type_text,
     FIELD(http.tls.key),
     .example = "/etc/pyrometer/key.pem",
     .help = "The certificate's private key (PEM)."},
    {.key = "storage.durability",
     .type = &type_choice,
     FIELD(storage.durability),
     .initial = "full",
     .choices = durability_names,
     .help = "full: an acknowledged step survives a power cut. normal: it survives the end of the "
             "process, but a power cut may take the newest."},
    {.key = "storage.retention",
     .type = &type_duration_s,
     FIELD(storage.retention_s),
     .initial = "0",
     .max = UINT64_C(36500) * 86400,
     .help = "How long the exact values of steps are kept once they are packed; plots of older "
             "ones are drawn from buckets of 64 steps and more. 0 is for ever."},
    {.key = "storage.max_size",
     .type = &type_size,
     FIELD(storage.max_size_bytes),
     .initial = "0",
     .max = UINT64_C(1) << 60,
     .help = "The size of the database's file above which the exact values of the oldest runs' "
             "oldest steps are deleted; their buckets stay. 0 is no limit."},
    {.key = "alerts.stall_after",
     .type = &type_seconds,
     FIELD(alerts.stall_after_s),
     .initial = "60s",
     .min = 1,
     .max = 7 * 86400,
     .is_reloadable = true,
     .help = "Silence after which a running run counts as stalled."},
    {.key = "alerts.rules",
     LIST(alerts.rules, alerts.n_rules),
     .max_entries = LIMIT_RULES,
     .entry_size = sizeof(struct config_rule),
     .entry_settings = rule_settings,
     .is_reloadable = true,
     .help = "Changes to the built-in rules, and rules of your own, one entry each. What an entry "
             "leaves out keeps the rule's own value."},
    {.key = "alerts.webhooks",
     LIST(alerts.webhooks, alerts.n_webhooks),
     .max_entries = LIMIT_WEBHOOKS,
     .entry_size = sizeof(struct config_webhook),
     .entry_settings = webhook_settings,
     .is_reloadable = true,
     .help = "Where alerts are sent over HTTP."},
    {.key = "alerts.severity_from",
     .type = &type_choice,
     FIELD(alerts.severity_from),
     .initial = "warning",
     .choices = severity_names,
     .is_reloadable = true,
     .help = "Less severe alerts are shown but not sent."},
    {.key = "alerts.command",
     .type = &type_text,
     FIELD(alerts.command),
     .example = "/usr/local/bin/on-alert",
     .is_reloadable = true,
     .help = "A program that is run for every change of an alert, for at most 30 s, with the "
             "generic webhook's body on its standard input and PYROMETER_RULE, _RUN, _LAYER, "
             "_SEVERITY, _STATE and _SUMMARY in its environment."},
    {.key = "alerts.mail_to",
     .type = &type_text,
     FIELD(alerts.mail_to),
     .example = "oncall@example.org",
     .is_reloadable = true,
     .help = "Where every change of an alert is mailed to, through alerts.sendmail."},
    {.key = "alerts.mail_from",
     .type = &type_text,
     FIELD(alerts.mail_from),
     .example = "pyrometer@example.org",
     .is_reloadable = true,
     .help = "The mails' sender. Not set: what sendmail makes of the user."},
    {.key = "alerts.sendmail",
     .type = &type_text,
     FIELD(alerts.sendmail),
     .initial = "/usr/sbin/sendmail",
     .is_reloadable = true,
     .help = "The program that sends mails, called with -t -i."},
    {.key = "alerts.external_url",
     .type = &type_url,
     FIELD(alerts.external_url),
     .example = "https://pyrometer.example.org",
     .is_reloadable = true,
     .help = "Where people find this daemon's page, for the links in what is sent. Not set: "
             "http:// and the address of http.listen."},
    {.key = "remote_write",
     LIST(remote_write, n_remote_write),
     .max_entries = LIMIT_REMOTE_WRITE,
     .entry_size = sizeof(struct config_remote_write),
     .entry_settings = remote_write_settings,
     .is_reloadable = true,
     .help = "Time-series stores that every reading is written to, by Prometheus' remote write: "
             "what /metrics shows, without anybody asking for it."},
    {0},
};

const struct setting *setting_find(const struct setting *table, const char *key) {
    for (const struct setting *s = table; s->key; s++) {
        if (strcmp(s->key, key) == 0) {
            return s;
        }
    }
    return NULL;
}

bool setting_is_section(const struct setting *table, const char *key) {
    size_t length = strlen(key);
    for (const struct setting *s = table; s->key; s++) {
        if (strncmp(s->key, key, length) == 0 && s->key[length] == '.') {
            return true;
        }
    }
    return false;
}

void setting_alloc_entries(const struct setting *s, void *base, size_t n) {
    CHECK(setting_is_list(s) && n <= s->max_entries);
    setting_reset(s, base);
    if (n == 0) {
        return;
    }
    char *entries = must_alloc(n * s->entry_size);
    for (size_t i = 0; i < n && s->entry_settings; i++) {
        setting_defaults(s->entry_settings, entries + i * s->entry_size);
    }
    setting_set_entries(s, base, entries);
    *setting_count(s, base) = n;
}

static void reset_entry(const struct setting *s, char *entry) {
    if (s->type) {
        s->type->reset(entry);
        return;
    }
    for (const struct setting *inner = s->entry_settings; inner->key; inner++) {
        setting_reset(inner, entry);
    }
}

void setting_reset(const struct setting *s, void *base) {
    if (!setting_is_list(s)) {
        s->type->reset(setting_field(s, base));
        return;
    }
    char *entries = setting_entries(s, base);
    for (size_t i = 0; i < *setting_count(s, base); i++) {
        reset_entry(s, entries + i * s->entry_size);
    }
    free(entries);
    setting_set_entries(s, base, NULL);
    *setting_count(s, base) = 0;
}

void setting_defaults(const struct setting *table, void *base) {
    for (const struct setting *s = table; s->key; s++) {
        setting_reset(s, base);
        if (s->initial && setting_is_list(s)) {
            setting_alloc_entries(s, base, 1);
            CHECK(s->type->read(s, s->initial, setting_entries(s, base)));
        } else if (s->initial) {
            CHECK(s->type->read(s, s->initial, setting_field(s, base)));
        }
    }
}

static void print_choices(const struct setting *s, struct buf *out) {
    const char *between = " ";
    for (size_t i = 0; s->choices[i]; i++) {
        if (*s->choices[i]) {
            buf_printf(out, "%s%s", between, s->choices[i]);
            between = ", ";
        }
    }
}

void setting_print_expected(const struct setting *s, struct buf *out) {
    buf_puts(out, s->type->noun);
    if (s->choices) {
        print_choices(s, out);
    }
    if (s->type->print_bound) {
        buf_puts(out, s->min ? " from " : " up to ");
        if (s->min) {
            s->type->print_bound(out, s->min);
            buf_puts(out, " to ");
        }
        s->type->print_bound(out, s->max);
    }
}

bool setting_print_value(const struct setting *s, const void *field, struct buf *out) {
    return s->type->print(field, s, out);
}

const char *setting_sample_value(const struct setting *s) {
    return s->initial ? s->initial : s->example;
}
