// GET /api/v1/runs/{run}/stream: server-sent events.
//
// The content reader takes one letter after the other from the stream's box on the board and
// suspends the connection when there is none; what publishes to the board resumes it. Both happen
// under the board's lock, so that a resume never meets a connection that is not suspended. While it
// is suspended the library sees neither a timeout nor a closed peer: the beat every 15 s finds
// those.
#include "api/emit.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/reading.h"

#include <inttypes.h>
#include <string.h>

#define STREAM_BYTES_MAX ((size_t)1 << 29)
#define STREAM_BYTES_KEPT ((size_t)1 << 20)

struct stream {
    struct api *api;
    struct MHD_Connection *connection;
    struct subscriber *subscriber; // NULL: the run is not live, what is in `out` is all
    int64_t seen_step; // the first reading is left out when it is of this step; -1: none is
    struct buf out;
    size_t sent;
};

static void sleep_connection(void *context) {
    struct stream *s = context;
    MHD_suspend_connection(s->connection);
}

static void wake_connection(void *context) {
    struct stream *s = context;
    MHD_resume_connection(s->connection);
}

static void print_event(struct buf *out, int64_t id, const char *event, const char *data,
                        size_t len) {
    if (id >= 0) {
        buf_printf(out, "id: %" PRId64 "\n", id);
    }
    buf_printf(out, "event: %s\ndata: ", event);
    buf_put(out, data, len);
    buf_puts(out, "\n\n");
}

static void print_snapshot(struct stream *s, struct snapshot *snapshot) {
    bool seen = s->seen_step >= 0 && snapshot->step == s->seen_step;
    s->seen_step = -1;
    struct body *body = seen ? NULL : reading_body(snapshot);
    if (body) {
        print_event(&s->out, snapshot->step, "temperature", body->plain.data, body->plain.len);
        body_unref(body);
    }
}

static void print_status(struct buf *out, const struct run_record *run) {
    struct buf json;
    buf_init(&json, 4096);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    emit_text(&e, "run", run->name);
    emit_text(&e, "status", run_status_name(run->progress.status));
    emit_step(&e, "step", run->progress.last_step);
    emit_end(&e);
    print_event(out, -1, "status", buf_str(&json), json.len);
    buf_free(&json);
}

// Puts the next letters into s->out. False at the stream's end; nothing in s->out: it sleeps.
static bool take_letter(struct stream *s) {
    struct board_letter letter;
    board_take(s->api->board, s->subscriber, &letter);
    switch (letter.kind) {
    case LETTER_NONE:
        return true;
    case LETTER_GAP: {
        char data[64];
        int len = snprintf(data, sizeof data, "{\"dropped\":%" PRIu64 "}", letter.dropped);
        print_event(&s->out, -1, "gap", data, (size_t)len);
        return true;
    }
    case LETTER_EVENT:
        print_event(&s->out, -1, letter.event, letter.data, strlen(letter.data));
        free(letter.event);
        free(letter.data);
        return true;
    case LETTER_SNAPSHOT:
        print_snapshot(s, letter.snapshot);
        if (s->out.len == 0) {
            buf_puts(&s->out, ": nothing newer\n\n");
        }
        snapshot_unref(letter.snapshot);
        return true;
    case LETTER_BEAT:
        buf_puts(&s->out, ": still here\n\n");
        return true;
    case LETTER_END:
        break;
    }
    return false;
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t max) {
    (void)position;
    struct stream *s = context;
    if (s->sent == s->out.len) {
        s->sent = 0;
        if (s->out.cap > STREAM_BYTES_KEPT) {
            buf_free(&s->out);
        }
        buf_clear(&s->out);
        if (!s->subscriber || !take_letter(s) || s->out.failed) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
    }
    size_t n = s->out.len - s->sent < max ? s->out.len - s->sent : max;
    if (n) {
        memcpy(to, s->out.data + s->sent, n);
        s->sent += n;
    }
    return (ssize_t)n;
}

static void free_stream(void *context) {
    struct stream *s = context;
    if (s->subscriber) {
        board_unsubscribe(s->api->board, s->subscriber);
    }
    s->api->streams--;
    buf_free(&s->out);
    free(s);
}

static int64_t last_event_id(const struct request *q) {
    const char *text = request_header(q, "Last-Event-ID");
    size_t len = text ? strlen(text) : 0;
    bool is_step = len > 0 && len < 18 && strspn(text, "0123456789") == len;
    return is_step ? strtoll(text, NULL, 10) : -1;
}

static struct stream *create(struct request *q) {
    struct stream *s = NEW(struct stream);
    s->api = q->api;
    s->connection = q->connection;
    s->seen_step = last_event_id(q);
    buf_init(&s->out, STREAM_BYTES_MAX);
    q->api->streams++;
    return s;
}

// The run is over: its last reading, its status, and the end.
static bool print_final(struct request *q, struct stream *s, const struct found *run) {
    struct snapshot *snapshot = reading_snapshot(q, run);
    if (snapshot) {
        print_snapshot(s, snapshot);
        print_status(&s->out, run->record);
        snapshot_unref(snapshot);
    }
    return snapshot != NULL;
}

static enum MHD_Result answer_stream(struct request *q, const struct found *run) {
    struct stream *s = create(q);
    struct subscriber_calls calls = {
        .sleep = sleep_connection, .wake = wake_connection, .context = s};
    bool is_head = strcmp(q->method, "HEAD") == 0; // its content is never read
    if (!is_head && run->live) {
        s->subscriber = board_subscribe(q->api->board, run->record->name, &calls);
    }
    if (!is_head && !s->subscriber && !print_final(q, s, run)) {
        free_stream(s);
        return answer_store_problem(q);
    }
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, read_stream, s, free_stream);
    CHECK(r != NULL);
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    answer_header(r, "X-Accel-Buffering", "no");
    return answer_response(q, MHD_HTTP_OK, r);
}

enum MHD_Result stream_get(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    if (q->api->streams >= q->api->max_streams) {
        board_beat(q->api->board); // finds those whose peer is gone, for the next who asks
        rc = answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE,
                            "%u streams are open, which is the most that there may be",
                            q->api->streams);
    } else {
        rc = answer_stream(q, &run);
    }
    found_release(&run);
    return rc;
}
