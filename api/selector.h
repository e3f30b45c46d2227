// An instant selector of Prometheus' query language: a metric's name and matchers of labels,
// pyrometer_loss{run=~"resnet-.*",project!="old"}. No I/O; one thread at a time.
#ifndef API_SELECTOR_H
#define API_SELECTOR_H

#include "base/buf.h"
#include "base/check.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#define SELECTOR_MATCHERS 16
#define SELECTOR_NAME "__name__" // the label that holds the metric's name

enum matcher_op { MATCH_IS, MATCH_IS_NOT, MATCH_LIKE, MATCH_NOT_LIKE };

struct selector_matcher {
    char *label, *value;
    enum matcher_op op;
    regex_t regex; // of MATCH_LIKE and MATCH_NOT_LIKE, over the whole value
};

struct selector {
    size_t n;
    struct selector_matcher at[SELECTOR_MATCHERS];
};

// -1 with a sentence in *problem: what was wrong and where. *s is to be freed all the same.
//
// Regular expressions are POSIX extended ones, without what makes those slow or large: counted
// repetition and references back.
int selector_parse(struct selector *s, const char *text, struct buf *problem) WARN_UNUSED;
void selector_free(struct selector *s);
// Whether the matchers of this label, if there are any, take the value; "" for a label that a
// series does not have.
bool selector_admits(const struct selector *s, const char *label, const char *value);
// Whether all matchers of labels other than these take "".
bool selector_admits_rest(const struct selector *s, const char *const *labels, size_t n);
// "1", "1+1", as Grafana asks to see whether anybody is there. False when it is something else.
bool selector_constant(const char *text, double *value);

#endif
