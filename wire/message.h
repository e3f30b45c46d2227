// The messages of a connection that are neither hello nor step, both ways.
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "base/buf.h"
#include "base/check.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum message_type {
    MESSAGE_HELLO,
    MESSAGE_STEP,
    MESSAGE_SCALARS,
    MESSAGE_EVENT,
    MESSAGE_END,
    MESSAGE_PING,
    MESSAGE_OUTPUTS
};

// Finds a line's type. -1 with bad_json, unknown_type or bad_value.
int message_type(const char *line, size_t len, enum message_type *type,
                 struct wire_error *error) WARN_UNUSED;

struct event {
    int64_t step; // -1 where not said
    double time;  // 0 where not said
    char *name;
    char *data;    // JSON text, NULL where not said
    bool is_timed; // the job said when; else whoever takes it sets `time`
};

int event_parse(struct event *out, const char *line, size_t len,
                struct wire_error *error) WARN_UNUSED;
void event_free(struct event *e);
void event_print(int64_t step, double time, const char *name, const char *data, struct buf *out);

// `status` becomes "completed" (also where not said), "failed" or "stopped"; a static string.
int end_parse(const char **status, const char *line, size_t len,
              struct wire_error *error) WARN_UNUSED;
void end_print(const char *status, struct buf *out);

// Daemon to job. The welcome says the version of frames (wire/frame.h) that the daemon reads.
void welcome_print(const char *run, int64_t last_step, struct buf *out);
void ack_print(int64_t step, struct buf *out);
// line: the number of the offending message of the connection, line or frame, from 1.
void error_print(const struct wire_error *error, uint64_t line, struct buf *out);

#endif
