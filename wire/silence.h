// A silence: which alerts nobody wants to be told of, until when, by whom and why. Its matchers are
// Alertmanager's: a name, a value, whether the value is a regular expression, and whether it must
// match or must not. Pure; any thread.
#ifndef WIRE_SILENCE_H
#define WIRE_SILENCE_H

#include "base/buf.h"
#include "base/check.h"
#include "config/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum silence_label {
    SILENCE_RULE, // "rule" or "alertname"
    SILENCE_RUN,
    SILENCE_PROJECT,
    SILENCE_LAYER, // "" for an alert of the whole run
    SILENCE_SEVERITY,
    SILENCE_LABELS // and beyond: a label of the alert's rule
};

// What an alert is known by, which is what receivers are sent. No NULL: "" where there is nothing.
struct silence_subject {
    const char *label[SILENCE_LABELS];
    const char *own; // its rule's labels, lines of base/words.h; one that is not there is ""
};

struct silence_matcher; // compiled

struct silence {
    int64_t id;
    double starts, ends; // seconds since the epoch; in force from starts up to ends
    char *created_by, *comment;
    size_t n_matchers;
    struct silence_matcher *matchers;
};

// Reads {"matchers":[{"name":"run","value":"resnet-.*","is_regex":true,"is_equal":true}],
// "ends":..., "starts":..., "created_by":"...", "comment":"..."}. Instead of `ends` there may be
// `duration` ("2h", or seconds); `starts` is `now` when left out; Alertmanager's spellings isRegex,
// isEqual and createdBy are taken too. A regular expression (POSIX extended) matches the whole
// value. 0, or -1 with a message and *out empty.
int silence_parse(struct silence *out, const char *json, size_t len, double now,
                  struct buf *error) WARN_UNUSED;
void silence_free(struct silence *s);
// The matchers as JSON, `{"matchers":[...]}` in the form that silence_parse_matchers reads.
void silence_print_matchers(const struct silence *s, struct buf *out);
int silence_parse_matchers(struct silence *s, const char *json, size_t len,
                           struct buf *error) WARN_UNUSED;

bool silence_is_active(const struct silence *s, double now);
// The name that the i-th of the matchers has among labels of rules, NULL: it is one of the labels
// that every alert has.
const char *silence_own_label(const struct silence *s, size_t i);
// All matchers agree.
bool silence_matches(const struct silence *s, const struct silence_subject *subject);

#endif
