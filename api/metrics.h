// The daemon's figures and the live runs' temperatures as OpenMetrics text.
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/samples.h"
#include "base/buf.h"

// Temperatures of all live runs together; how many were left out is a metric of its own.
#define METRICS_SAMPLES_MAX 20000

struct metrics_watch;

struct metrics_watch *metrics_watch_create(void);
void metrics_watch_destroy(struct metrics_watch *w);
// Any thread. firing: the alerts that fire, by severity; NULL where it is not known.
void metrics_print(struct buf *out, struct board *board, const uint64_t firing[SAMPLE_SEVERITIES]);
enum metrics_form {
    METRICS_OPEN,  // OpenMetrics
    METRICS_TEXT,  // the older text format 0.0.4
    METRICS_COMMON // OpenMetrics that is good text of the older format too
};

// OpenMetrics text in one of the other forms.
void metrics_convert(const char *open, enum metrics_form form, struct buf *out);
// Pieces of it, for tests: name="value" with its escapes, and a number with NaN and infinities.
void metrics_put_label(struct buf *out, const char *name, const char *value);
void metrics_put_number(struct buf *out, double x);

#endif
