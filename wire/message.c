#include "wire/message.h"

#include "base/num.h"
#include "config/limits.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int bad_json(const struct json *j, struct wire_error *error) {
    return wire_fail(error, WIRE_BAD_JSON, "not JSON at byte %zu: %s; the line was dropped",
                     json_offset(j), j->error ? j->error : "text behind the object");
}

// Validates the whole line unless it is a step, which its own reader validates as it goes.
static int find_type(const char *line, size_t len, struct slice *type, struct wire_error *error) {
    struct json j;
    struct slice key, value;
    bool found = false;
    json_init(&j, line, len);
    json_object(&j);
    while (json_key(&j, &key)) {
        bool is_type = slice_is(key, "type");
        if (is_type && json_peek(&j) == JSON_STRING) {
            json_string(&j, type);
            found = true;
            if (slice_is(*type, "step")) {
                return 0;
            }
        } else if (!json_skip(&j, &value)) {
            break;
        }
    }
    if (!json_at_end(&j)) {
        return bad_json(&j, error);
    }
    return found ? 0 : wire_fail(error, WIRE_UNKNOWN_TYPE, "the message has no \"type\"; dropped");
}

int message_type(const char *line, size_t len, enum message_type *type, struct wire_error *error) {
    static const char *const names[] = {"hello", "step", "scalars", "event",
                                        "end",   "ping", "outputs"};
    struct slice name = {0};
    size_t bad;
    if (!utf8_valid(line, len, &bad)) {
        return wire_fail(error, WIRE_BAD_JSON, "not UTF-8 at byte %zu; the line was dropped", bad);
    }
    if (find_type(line, len, &name, error)) {
        return -1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_is(name, names[i])) {
            *type = (enum message_type)i;
            return 0;
        }
    }
    return wire_fail(
        error, WIRE_UNKNOWN_TYPE,
        "type \"%.*s\" is not known; expected hello, step, scalars, event, outputs, end or ping; "
        "dropped",
        (int)(name.len < 64 ? name.len : 64), name.text);
}

static int event_name(struct slice raw, char **name, struct wire_error *error) {
    struct buf plain;
    buf_init(&plain, raw.len + 1);
    bool ok = json_unescape(raw, &plain) && plain.len > 0 && plain.len <= LIMIT_EVENT_NAME;
    if (ok) {
        free(*name);
        *name = must_copy(buf_str(&plain));
    }
    buf_free(&plain);
    return ok ? 0
              : wire_fail(error, WIRE_BAD_VALUE,
                          "the event's name is not of 1 to %d bytes; dropped", LIMIT_EVENT_NAME);
}

static int event_step(double x, int64_t *step, struct wire_error *error) {
    if (num_is_missing(x)) {
        return 0;
    }
    if (!(x >= 0 && x <= (double)STEP_MAX) || x != floor(x)) {
        return wire_fail(error, WIRE_BAD_VALUE, "the event's step is not a whole number; dropped");
    }
    *step = (int64_t)x;
    return 0;
}

static int event_data(struct slice value, char **data, struct wire_error *error) {
    if (value.len > LIMIT_EVENT_DATA_BYTES) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "the event's data has %zu bytes, the most is %d; dropped", value.len,
                         LIMIT_EVENT_DATA_BYTES);
    }
    struct buf text;
    buf_init(&text, value.len + value.len / 2 + 16);
    json_quote_nonfinite(value.text, value.len, &text);
    free(*data);
    *data = must_copy(buf_str(&text));
    buf_free(&text);
    return 0;
}

static int event_member(struct json *j, struct slice key, struct event *out,
                        struct wire_error *error) {
    struct slice value;
    double x;
    if (slice_is(key, "name") && json_string(j, &value)) {
        return event_name(value, &out->name, error);
    }
    if (slice_is(key, "step")) {
        // What is no number is no step either; what is not JSON is found when it is skipped.
        return json_number(j, &x)     ? event_step(x, &out->step, error)
               : json_skip(j, &value) ? event_step(-1, &out->step, error)
                                      : bad_json(j, error);
    }
    if (slice_is(key, "time") && json_number(j, &x)) {
        out->is_timed = isfinite(x) && x > 0;
        out->time = out->is_timed ? x : 0;
        return 0;
    }
    if (!json_skip(j, &value)) {
        return bad_json(j, error);
    }
    return slice_is(key, "data") ? event_data(value, &out->data, error) : 0;
}

int event_parse(struct event *out, const char *line, size_t len, struct wire_error *error) {
    *out = (struct event){.step = -1};
    struct json j;
    struct slice key;
    json_init(&j, line, len);
    json_object(&j);
    int rc = 0;
    while (rc == 0 && json_key(&j, &key)) {
        rc = event_member(&j, key, out, error);
    }
    if (rc == 0 && !json_at_end(&j)) {
        rc = bad_json(&j, error);
    }
    if (rc == 0 && !out->name) {
        rc = wire_fail(error, WIRE_BAD_VALUE, "the event has no name; dropped");
    }
    if (rc) {
        event_free(out);
    }
    return rc;
}

void event_free(struct event *e) {
    free(e->name);
    free(e->data);
    *e = (struct event){.step = -1};
}

void event_print(int64_t step, double time, const char *name, const char *data, struct buf *out) {
    char text[NUM_TEXT_MAX];
    buf_puts(out, "{\"type\":\"event\"");
    if (step >= 0) {
        buf_printf(out, ",\"step\":%lld", (long long)step);
    }
    if (time > 0) {
        num_format(text, time);
        buf_printf(out, ",\"time\":%s", text);
    }
    buf_puts(out, ",\"name\":");
    json_put_string(out, name, strlen(name));
    if (data) {
        buf_puts(out, ",\"data\":");
        buf_puts(out, data);
    }
    buf_puts(out, "}\n");
}

int end_parse(const char **status, const char *line, size_t len, struct wire_error *error) {
    static const char *const known[] = {"completed", "failed", "stopped"};
    struct slice value;
    *status = known[0];
    if (!json_member(line, len, "status", &value) || slice_is(value, "null")) {
        return 0;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i]);
        if (value.len == n + 2 && memcmp(value.text + 1, known[i], n) == 0) {
            *status = known[i];
            return 0;
        }
    }
    return wire_fail(error, WIRE_BAD_VALUE,
                     "status %.*s is not \"completed\", \"failed\" or "
                     "\"stopped\"; the end was dropped",
                     (int)(value.len < 64 ? value.len : 64), value.text);
}

void end_print(const char *status, struct buf *out) {
    buf_printf(out, "{\"type\":\"end\",\"status\":\"%s\"}\n", status);
}

void welcome_print(const char *run, int64_t last_step, struct buf *out) {
    buf_printf(
        out,
        "{\"type\":\"welcome\",\"protocol\":1,\"run\":\"%s\",\"last_step\":%lld,\"frames\":%d}\n",
        run, (long long)last_step, FRAME_VERSION);
}

void ack_print(int64_t step, struct buf *out) {
    buf_printf(out, "{\"type\":\"ack\",\"step\":%lld}\n", (long long)step);
}

void error_print(const struct wire_error *error, uint64_t line, struct buf *out) {
    // The message may quote the job's own bytes, cut anywhere: what is not UTF-8 is shown as '?'.
    char message[sizeof error->message];
    memcpy(message, error->message, sizeof message);
    size_t len = strlen(message), bad;
    while (!utf8_valid(message, len, &bad)) {
        message[bad] = '?';
    }
    buf_printf(out,
               "{\"type\":\"error\",\"code\":\"%s\",\"message\":", wire_code_name(error->code));
    json_put_string(out, message, len);
    buf_printf(out, ",\"line\":%llu,\"fatal\":%s}\n", (unsigned long long)line,
               error->fatal ? "true" : "false");
}
