#include "delivery/payload.h"

#include "alerts/alerts.h"
#include "api/alerts.h"
#include "api/emit.h"
#include "base/check.h"
#include "base/num.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define URL_BYTES 1024

static void emit_rfc3339(struct emit *e, const char *key, double seconds) {
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
    emit_text(e, "run", a->run_name);
    if (a->project && *a->project) {
        emit_text(e, "project", a->project);
    }
    if (a->layer) {
        emit_text(e, "layer", a->layer);
    }
    emit_text(e, "severity", severity_name((enum severity)a->severity));
    emit_end(e);
}

static void emit_number_text(struct emit *e, const char *key, double x) {
    char text[NUM_TEXT_MAX];
    size_t n = num_format(text, x);
    text[n] = '\0';
    size_t quoted = text[0] == '"';
    text[n - quoted] = '\0';
    emit_text(e, key, text + quoted);
}

static void emit_annotations(struct emit *e, const char *key, const struct alert_record *a) {
    char step[24];
    snprintf(step, sizeof step, "%" PRId64, a->step);
    emit_object(e, key);
    emit_text(e, "summary", a->summary);
    emit_text(e, "step", step);
    emit_number_text(e, "value", a->value);
    emit_number_text(e, "threshold", a->threshold);
    emit_end(e);
}

static void emit_generator(struct emit *e, const struct alert_record *a, const char *external_url) {
    char url[URL_BYTES];
    snprintf(url, sizeof url, "%s/#/runs/%s", external_url, a->run_name);
    emit_text(e, "generatorURL", url);
}

// FNV-1a of the labels.
static void emit_fingerprint(struct emit *e, const struct alert_record *a) {
    const char *const labels[] = {a->rule, a->run_name, a->layer ? a->layer : "",
                                  severity_name((enum severity)a->severity)};
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
    emit_annotations(e, "annotations", a);
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
    buf_printf(&group, "{}:{run=\"%s\", group=\"%" PRId64 "\"}", a->run_name,
               a->group ? a->group : a->id);
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_text(&e, "version", "4");
    emit_text(&e, "groupKey", buf_str(&group));
    emit_integer(&e, "truncatedAlerts", 0);
    emit_text(&e, "status", is_firing(a) ? "firing" : "resolved");
    emit_text(&e, "receiver", "pyrometer");
    emit_object(&e, "groupLabels");
    emit_text(&e, "run", a->run_name);
    emit_end(&e);
    emit_labels(&e, "commonLabels", a);
    emit_annotations(&e, "commonAnnotations", a);
    emit_text(&e, "externalURL", external_url);
    emit_array(&e, "alerts");
    emit_alert(&e, a, external_url);
    emit_end(&e);
    struct buf own;
    buf_init(&own, 1 << 16);
    alert_json(a, &own);
    emit_raw(&e, "pyrometer", buf_str(&own), own.len);
    emit_end(&e);
    buf_free(&own);
    buf_free(&group);
}

void payload_alertmanager(const struct alert_record *a, const char *external_url, double ends,
                          struct buf *out) {
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_labels(&e, "labels", a);
    emit_annotations(&e, "annotations", a);
    emit_rfc3339(&e, "startsAt", began(a));
    emit_rfc3339(&e, "endsAt", ends);
    emit_generator(&e, a, external_url);
    emit_end(&e);
}

// A header is one line of visible ASCII.
static void put_header_text(struct buf *out, const char *text) {
    for (const char *p = text; *p; p++) {
        buf_putc(out, *p >= 0x20 && *p < 0x7F ? *p : '?');
    }
}

void payload_mail(const struct alert_record *a, const char *external_url, const char *to,
                  const char *from, struct buf *out) {
    char value[NUM_TEXT_MAX], threshold[NUM_TEXT_MAX];
    value[num_format(value, a->value)] = '\0';
    threshold[num_format(threshold, a->threshold)] = '\0';
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
    put_header_text(out, a->run_name);
    buf_puts(out, " ");
    put_header_text(out, a->layer ? a->layer : "");
    buf_printf(out,
               "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
               "Auto-Submitted: auto-generated\n\n%s\n\nrun        %s\nlayer      %s\n"
               "step       %" PRId64 "\nvalue      %s\nthreshold  %s\n\n%s/#/runs/%s\n",
               a->summary, a->run_name, a->layer ? a->layer : "(whole run)", a->step, value,
               threshold, external_url, a->run_name);
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
