// GET /api/v1/runs/{run}/stream: server-sent events.
//
// The content reader takes one letter after the other from the stream's box on the board and
// suspends the connection when there is none; the board's herald resumes it. Both happen under the
// board's lock, so that a resume never meets a connection that is not suspended. While it is
// suspended the library sees neither a timeout nor a closed peer: the beat every 15 s finds those.
//
// A reading's bytes are sent from the body that all who ask share, between a head and two line
// ends.
#include "api/emit.h"
#include "api/find.h"
#include "api/handlers.h"
#include "api/reading.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

#define STREAM_BYTES_MAX ((size_t)1 << 20)    // of what stands around a reading
#define STREAM_BYTES_KEPT ((size_t)1 << 11)   // while nothing is sent
#define STREAM_BYTES_ENOUGH ((size_t)1 << 14) // of events that are sent together

struct stream {
    struct api *api;
    struct MHD_Connection *connection;
    struct subscriber *subscriber; // NULL: the run is not live, what is there is all
    enum reading_detail detail;
    int64_t seen_step;     // the first reading is left out when it is of this step; -1: none is
    int64_t step;          // of the newest reading that was sent, -1 before
    uint64_t letter;       // id of the newest event, 0: there was none
    struct buf head, tail; // around the body
    struct body *body;     // NULL: there is none
    size_t sent;           // of all three
};

static void sleep_connection(void *context) {
    struct stream *s = context;
    MHD_suspend_connection(s->connection);
}

static void wake_connection(void *context) {
    struct stream *s = context;
    MHD_resume_connection(s->connection);
}

// "STEP-EVENT": of the newest reading and the newest event that the client then knows.
static void print_head(struct stream *s, const char *event) {
    if (s->step >= 0 && s->letter) {
        buf_printf(&s->head, "id: %" PRId64 "-%" PRIu64 "\n", s->step, s->letter);
    } else if (s->step >= 0) {
        buf_printf(&s->head, "id: %" PRId64 "\n", s->step);
    }
    buf_printf(&s->head, "event: %s\ndata: ", event);
}

static void print_event(struct stream *s, const char *event, const char *data) {
    print_head(s, event);
    buf_puts(&s->head, data);
    buf_puts(&s->head, "\n\n");
}

static void print_snapshot(struct stream *s, struct snapshot *snapshot) {
    bool seen = s->seen_step >= 0 && snapshot->step == s->seen_step;
    s->seen_step = -1;
    s->step = snapshot->step;
    s->body = seen ? NULL : reading_body(snapshot, s->detail);
    if (s->body) {
        print_head(s, "temperature");
        buf_puts(&s->tail, "\n\n");
    } else {
        buf_puts(&s->head, ": nothing newer\n\n");
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
    buf_printf(out, "event: status\ndata: %s\n\n", buf_str(&json));
    buf_free(&json);
}

// Appends the next letter to what is prepared. False when there is none now or the stream is at its
// end: if nothing is prepared then it sleeps, or *ended is set.
static bool take_letter(struct stream *s, bool *ended) {
    struct board_letter letter;
    board_take(s->api->board, s->subscriber, s->head.len == 0, &letter);
    s->letter = letter.id;
    switch (letter.kind) {
    case LETTER_NONE:
        return false;
    case LETTER_GAP: {
        char data[64] = "{\"dropped\":null}";
        if (letter.dropped) {
            snprintf(data, sizeof data, "{\"dropped\":%" PRIu64 "}", letter.dropped);
        }
        print_event(s, "gap", data);
        return true;
    }
    case LETTER_EVENT:
        print_event(s, letter.event, letter.data);
        free(letter.event);
        free(letter.data);
        return true;
    case LETTER_SNAPSHOT:
        print_snapshot(s, letter.snapshot);
        snapshot_unref(letter.snapshot);
        return true;
    case LETTER_BEAT:
        buf_puts(&s->head, ": still here\n\n");
        return true;
    case LETTER_END:
        *ended = s->head.len == 0; // asked again once this is sent
        break;
    }
    return false;
}

// All that is there, up to a reading or so many bytes. False at the stream's end; nothing prepared:
// it sleeps.
static bool prepare(struct stream *s) {
    bool ended = false;
    while (!s->body && s->head.len < STREAM_BYTES_ENOUGH && take_letter(s, &ended)) {
    }
    size_t bytes = s->head.len + (s->body ? s->body->plain.len : 0) + s->tail.len;
    if (bytes) {
        board_sends(s->api->board, bytes);
    }
    return !ended && !s->head.failed;
}

static void clear(struct stream *s) {
    s->sent = 0;
    if (s->head.cap > STREAM_BYTES_KEPT) {
        buf_free(&s->head);
        buf_init(&s->head, STREAM_BYTES_MAX);
    }
    buf_clear(&s->head);
    buf_clear(&s->tail);
    body_unref(s->body);
    s->body = NULL;
}

// Copies on from where the last call stopped in one of the three parts; *from is where it begins.
static size_t copy_part(struct stream *s, const char *part, size_t len, size_t *from, char *to,
                        size_t max) {
    size_t begin = s->sent > *from ? s->sent - *from : 0;
    *from += len;
    if (begin >= len) {
        return 0;
    }
    size_t n = len - begin < max ? len - begin : max;
    memcpy(to, part + begin, n);
    s->sent += n;
    return n;
}

static size_t copy_parts(struct stream *s, char *to, size_t max) {
    size_t from = 0, n = copy_part(s, buf_str(&s->head), s->head.len, &from, to, max);
    if (s->body) {
        n += copy_part(s, s->body->plain.data, s->body->plain.len, &from, to + n, max - n);
    }
    return n + copy_part(s, buf_str(&s->tail), s->tail.len, &from, to + n, max - n);
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t max) {
    (void)position;
    struct stream *s = context;
    size_t n = copy_parts(s, to, max);
    if (n == 0) {
        clear(s);
        if (!s->subscriber || !prepare(s)) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        n = copy_parts(s, to, max);
    }
    return (ssize_t)n;
}

static void free_stream(void *context) {
    struct stream *s = context;
    if (s->subscriber) {
        board_unsubscribe(s->api->board, s->subscriber);
    }
    s->api->streams--;
    clear(s);
    buf_free(&s->head);
    buf_free(&s->tail);
    free(s);
}

static void read_last_event_id(const struct request *q, struct stream *s) {
    const char *text = request_header(q, "Last-Event-ID");
    char *end;
    if (text && *text >= '0' && *text <= '9' && strlen(text) < 40) {
        s->seen_step = strtoll(text, &end, 10);
        s->letter = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
    }
}

static struct stream *create(struct request *q) {
    struct stream *s = NEW(struct stream);
    s->api = q->api;
    s->connection = q->connection;
    s->detail = (enum reading_detail)query_number(&q->query, "detail", READING_BRIEF);
    s->seen_step = s->step = -1;
    read_last_event_id(q, s);
    buf_init(&s->head, STREAM_BYTES_MAX);
    buf_init(&s->tail, STREAM_BYTES_MAX);
    q->api->streams++;
    return s;
}

// The run is over: its last reading, its status, and the end.
static bool print_final(struct request *q, struct stream *s, const struct found *run) {
    struct snapshot *snapshot = reading_snapshot(q, run);
    if (snapshot) {
        print_snapshot(s, snapshot);
        print_status(s->body ? &s->tail : &s->head, run->record);
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
        s->subscriber = board_subscribe(q->api->board, run->record->name, &calls, s->letter);
    }
    if (!is_head && !s->subscriber && !print_final(q, s, run)) {
        free_stream(s);
        return answer_store_problem(q);
    }
    struct MHD_Response *r;
    do {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, read_stream, s,
                                              free_stream);
    } while (!r && memory_let_go());
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
