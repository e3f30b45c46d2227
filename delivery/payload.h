// What receivers are sent of an alert. Pure.
#ifndef DELIVERY_PAYLOAD_H
#define DELIVERY_PAYLOAD_H

#include "base/buf.h"
#include "storage/record.h"

// `external_url`: where people find this daemon's page and API; no slash at the end. Made of what
// is configured, or of http_address (HOST:PORT) where that is NULL; free() it.
char *payload_external_url(const char *configured, const char *http_address);

// The alert's labels are alertname (the rule), run, project, layer (left out for the whole run),
// severity and those of its rule; never a value, which would make it another alert to its
// receivers. Its annotations say what happened, of which cause it is, what someone on call is to
// know of the rule, and where to read on; those of its rule take their place.

// The body of a webhook, Alertmanager's version 4, of this one alert, with the alert as the REST
// API shows it beside it under "pyrometer".
void payload_webhook(const struct alert_record *a, const char *external_url, struct buf *out);
// One entry of the list that Alertmanager's API v2 takes. `ends`: when the alert ended, or will
// unless it is sent again. Seconds since the epoch.
void payload_alertmanager(const struct alert_record *a, const char *external_url, double now,
                          double ends, struct buf *out);
// A mail with its headers. `from` NULL: sendmail's own.
void payload_mail(const struct alert_record *a, const char *external_url, const char *to,
                  const char *from, struct buf *out);

// The same for the same change of the same alert, whoever sends it and however often.
void payload_idempotency_key(const struct alert_record *a, char key[64]);
// "t=1732345678,v1=..." : HMAC-SHA256 of "TIME.BODY" in hexadecimal.
void payload_signature(const char *secret, double now, const struct buf *body, char text[128]);

#endif
