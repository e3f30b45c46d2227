#include "delivery/payload.h"

#include "alerts/alerts.h"
#include "alerts/oncall.h"
#include "api/alerts.h"
#include "api/emit.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/num.h"
#include "base/words.h"
#include "config/limits.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define URL_BYTES 1024
#define TEXT_BYTES 16384
#define YEAR_9999_S 253402300799.0 // its last second

// A job may send any time; RFC 3339 has the years up to 9999.
static void emit_rfc3339(struct emit *e, const char *key, double seconds) {
    seconds = fmin(fmax(seconds, 0), YEAR_9999_S);
    time_t whole = (time_t)seconds;
    struct tm utc;
    char text[40];
    gmtime_r(&whole, &utc);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)((seconds - (double)whole) * 1000));
    emit_text(e, key, text);
}

static bool is_firing(const struct alert_record *a) {
    return a->state == ALERT_FIRING;
}

static double began(const struct alert_record *a) {
    return a->fired > 0 ? a->fired : a->started;
}

static void emit_labels(struct emit *e, const char *key, const struct alert_record *a) {
    emit_object(e, key);
    emit_text(e, "alertname", a->rule);
    if (a->run_name) { // else it is the daemon's own
        emit_text(e, "run", a->run_name);
    }
    if (a->project && *a->project) {
        emit_text(e, "project", a->project);
    }
    if (a->layer) {
        emit_text(e, "layer", a->layer);
    }
    emit_text(e, "severity", severity_name((enum severity)a->severity));
    alert_emit_words(e, a->labels);
    emit_end(e);
}

// What the rule's own annotations do not say otherwise.
static void annotate(struct emit *e, const struct alert_record *a, const char *key,
                     const char *text) {
    size_t n;
    if (!words_find(a->annotations, key, strlen(key), &n)) {
        emit_text(e, key, text);
    }
}

static void annotate_number(struct emit *e, const struct alert_record *a, const char *key,
                            double x) {
    char text[NUM_TEXT_MAX];
    size_t n = num_format(text, x);
    text[n] = '\0';
    size_t quoted = text[0] == '"';
    text[n - quoted] = '\0';
    annotate(e, a, key, text + quoted);
}

// "unaccounted, layer fc1 (alert 12)"; false when the alert is the first of its cause itself.
static bool put_cause(const struct alert_record *a, struct buf *out) {
    if (!a->group || a->group == a->id || !a->group_rule) {
        return false;
    }
    buf_printf(out, "%s, %s%s (alert %" PRId64 ")", a->group_rule, a->group_layer ? "layer " : "",
               a->group_layer ? a->group_layer : "whole run", a->group);
    return true;
}

static void put_advice(const char *rule, struct buf *out) {
    const struct oncall *o = oncall_find(rule);
    if (o) {
        buf_printf(out, "%s Usual causes: %s What to do: %s", o->means, o->causes, o->remedy);
    }
}

static void put_runbook_url(const struct alert_record *a, const char *external_url,
                            struct buf *out) {
    buf_printf(out, "%s/#/rules/%s", external_url, a->rule);
}

static void emit_annotations(struct emit *e, const char *key, const struct alert_record *a,
                             const char *external_url) {
    char step[24];
    struct buf text;
    snprintf(step, sizeof step, "%" PRId64, a->step);
    buf_init(&text, TEXT_BYTES);
    emit_object(e, key);
    annotate(e, a, "summary", a->summary);
    if (put_cause(a, &text)) {
        annotate(e, a, "cause", buf_str(&text));
    }
    text.len = 0;
    put_advice(a->rule, &text);
    if (text.len) {
        annotate(e, a, "description", buf_str(&text));
        text.len = 0;
        put_runbook_url(a, external_url, &text);
        annotate(e, a, "runbook_url", buf_str(&text));
    }
    if (a->run_name) {
        annotate(e, a, "step", step);
        annotate_number(e, a, "value", a->value);
        annotate_number(e, a, "threshold", a->threshold);
    }
    alert_emit_annotations(e, a);
    emit_end(e);
    buf_free(&text);
}

static void emit_generator(struct emit *e, const struct alert_record *a, const char *external_url) {
    char url[URL_BYTES];
    snprintf(url, sizeof url, "%s/#/%s%s", external_url, a->run_name ? "run/" : "alerts",
             a->run_name ? a->run_name : "");
    emit_text(e, "generatorURL", url);
}

// FNV-1a of the labels.
static void emit_fingerprint(struct emit *e, const struct alert_record *a) {
    const char *const labels[] = {a->rule, a->run_name ? a->run_name : "", a->layer ? a->layer : "",
                                  severity_name((enum severity)a->severity),
                                  a->labels ? a->labels : ""};
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        for (const char *p = labels[i];; p++) {
            hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
            if (!*p) {
                break;
            }
        }
    }
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    emit_text(e, "fingerprint", text);
}

static void emit_alert(struct emit *e, const struct alert_record *a, const char *external_url) {
    emit_object(e, NULL);
    emit_text(e, "status", is_firing(a) ? "firing" : "resolved");
    emit_labels(e, "labels", a);
    emit_annotations(e, "annotations", a, external_url);
    emit_rfc3339(e, "startsAt", began(a));
    if (is_firing(a)) {
        emit_text(e, "endsAt", "0001-01-01T00:00:00Z");
    } else {
        emit_rfc3339(e, "endsAt", a->resolved);
    }
    emit_generator(e, a, external_url);
    emit_fingerprint(e, a);
    emit_end(e);
}

void payload_webhook(const struct alert_record *a, const char *external_url, struct buf *out) {
    struct buf group;
    buf_init(&group, URL_BYTES);
    buf_printf(&group, "{}:{run=\"%s\", group=\"%" PRId64 "\"}", a->run_name ? a->run_name : "",
               a->group ? a->group : a->id);
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_text(&e, "version", "4");
    emit_text(&e, "groupKey", buf_str(&group));
    emit_integer(&e, "truncatedAlerts", 0);
    emit_text(&e, "status", is_firing(a) ? "firing" : "resolved");
    emit_text(&e, "receiver", "pyrometer");
    emit_object(&e, "groupLabels");
    if (a->run_name) {
        emit_text(&e, "run", a->run_name);
    }
    emit_end(&e);
    emit_labels(&e, "commonLabels", a);
    emit_annotations(&e, "commonAnnotations", a, external_url);
    emit_text(&e, "externalURL", external_url);
    emit_array(&e, "alerts");
    emit_alert(&e, a, external_url);
    emit_end(&e);
    struct buf own;
    buf_init(&own, ALERT_BYTES_MAX);
    alert_json(a, &own);
    emit_raw(&e, "pyrometer", buf_str(&own), own.len);
    emit_end(&e);
    buf_free(&own);
    buf_free(&group);
}

// Alertmanager refuses what begins after it ends, and takes what ends later for firing. An alert's
// times are by the job's clock, which may be wrong.
void payload_alertmanager(const struct alert_record *a, const char *external_url, double now,
                          double ends, struct buf *out) {
    struct emit e = emit_to(out);
    ends = is_firing(a) ? ends : fmin(ends, now);
    emit_object(&e, NULL);
    emit_labels(&e, "labels", a);
    emit_annotations(&e, "annotations", a, external_url);
    emit_rfc3339(&e, "startsAt", fmin(began(a), fmin(now, ends)));
    emit_rfc3339(&e, "endsAt", ends);
    emit_generator(&e, a, external_url);
    emit_end(&e);
}

char *payload_external_url(const char *configured, const char *http_address) {
    struct buf url;
    buf_init(&url, LIMIT_CONFIG_TEXT + 16);
    buf_printf(&url, "%s%s", configured ? "" : "http://", configured ? configured : http_address);
    while (url.len && url.data[url.len - 1] == '/') {
        url.data[--url.len] = '\0';
    }
    char *text = must_copy(buf_str(&url));
    buf_free(&url);
    return text;
}

// A header is one line of visible ASCII.
static void put_header_text(struct buf *out, const char *text) {
    for (const char *p = text; *p; p++) {
        buf_putc(out, *p >= 0x20 && *p < 0x7F ? *p : '?');
    }
}

// Of an alert that is over nothing is to be done.
static void put_mail_advice(const struct alert_record *a, struct buf *out) {
    const struct oncall *o = is_firing(a) ? oncall_find(a->rule) : NULL;
    if (o) {
        buf_printf(out, "What it means: %s\n\nUsual causes: %s\n\nWhat to do: %s\n\n", o->means,
                   o->causes, o->remedy);
    }
}

static void put_mail_facts(const struct alert_record *a, const char *external_url,
                           struct buf *out) {
    if (!a->run_name) {
        buf_printf(out, "%s/#/alerts\n", external_url);
        return;
    }
    char value[NUM_TEXT_MAX], threshold[NUM_TEXT_MAX];
    value[num_format(value, a->value)] = '\0';
    threshold[num_format(threshold, a->threshold)] = '\0';
    buf_printf(
        out, "run        %s\nlayer      %s\nstep       %" PRId64 "\nvalue      %s\nthreshold  %s\n",
        a->run_name, a->layer ? a->layer : "(whole run)", a->step, value, threshold);
    buf_puts(out, "cause      ");
    if (!put_cause(a, out)) {
        buf_puts(out, "this alert is the first of its cause");
    }
    buf_printf(out, "\n\n%s/#/run/%s\n", external_url, a->run_name);
}

void payload_mail(const struct alert_record *a, const char *external_url, const char *to,
                  const char *from, struct buf *out) {
    buf_puts(out, "To: ");
    put_header_text(out, to);
    if (from) {
        buf_puts(out, "\nFrom: ");
        put_header_text(out, from);
    }
    buf_printf(out, "\nSubject: [%s] %s ", is_firing(a) ? "firing" : "resolved",
               severity_name((enum severity)a->severity));
    put_header_text(out, a->rule);
    buf_puts(out, ": ");
    put_header_text(out, a->run_name ? a->run_name : "the daemon");
    buf_puts(out, " ");
    put_header_text(out, a->layer ? a->layer : "");
    buf_printf(out,
               "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
               "Auto-Submitted: auto-generated\n\n%s\n\n",
               a->summary);
    put_mail_advice(a, out);
    put_mail_facts(a, external_url, out);
    if (oncall_find(a->rule)) {
        put_runbook_url(a, external_url, out);
        buf_putc(out, '\n');
    }
}

void payload_idempotency_key(const struct alert_record *a, char key[64]) {
    snprintf(key, 64, "%" PRId64 "-%.0f-%.10s-%.10s", a->id, a->started * 1000,
             alert_state_name((enum alert_state)a->state),
             severity_name((enum severity)a->severity));
}

void payload_signature(const char *secret, double now, const struct buf *body, char text[128]) {
    unsigned char digest[32];
    gnutls_hmac_hd_t hmac;
    char time[24];
    snprintf(time, sizeof time, "%lld", (long long)now);
    int rc;
    do {
        rc = gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, secret, strlen(secret));
    } while (rc && memory_let_go());
    CHECK(rc == 0);
    gnutls_hmac(hmac, time, strlen(time));
    gnutls_hmac(hmac, ".", 1);
    gnutls_hmac(hmac, body->data, body->len);
    gnutls_hmac_deinit(hmac, digest);
    int n = snprintf(text, 128, "t=%s,v1=", time);
    for (size_t i = 0; i < sizeof digest; i++) {
        n += snprintf(text + n, 128 - (size_t)n, "%02x", digest[i]);
    }
}
