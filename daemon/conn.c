#include "daemon/conn.h"

#include "base/log.h"
#include "daemon/handshake.h"
#include "daemon/live.h"
#include "daemon/ranks.h"
#include "daemon/session.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A job that does not take its replies is not read from beyond this.
#define OUT_BYTES_PAUSE (256u * 1024)
#define OUT_BYTES_MAX (4u << 20) // a pause and the replies to one line more, with room to spare
// How long a job that was sent a fatal error may take to read it and hang up.
#define LINGER_MS 2000

static void flush(struct conn *c);

static void on_closed(uv_handle_t *handle) {
    struct conn *c = handle->data;
    if (--c->open_handles > 0) {
        return;
    }
    struct app *app = c->app;
    *c->previous = c->next;
    if (c->next) {
        c->next->previous = c->previous;
    }
    app->n_conns--;
    app->figures->connections_open = app->n_conns;
    cutter_free(&c->cutter);
    buf_free(&c->rest);
    buf_free(&c->out);
    tls_free(c->tls);
    free(c);
}

static void leave_run(struct conn *c) {
    if (c->run) {
        c->run->n_conns--;
        c->run = NULL;
    }
    ranks_leave(c);
}

static void close_conn(struct conn *c) {
    if (uv_is_closing(&c->handle)) {
        return;
    }
    leave_run(c);
    uv_close(&c->handle, on_closed);
    uv_close((uv_handle_t *)&c->patience, on_closed);
}

static void on_linger(uv_timer_t *timer) {
    close_conn(timer->data);
}

// Nothing can be told before a handshake is over.
static bool is_shaking(const struct conn *c) {
    return c->tls && tls_state(c->tls) == TLS_HANDSHAKE;
}

static bool has_output(const struct conn *c) {
    return c->out.len || (c->tls && tls_out(c->tls)->len);
}

static void on_shutdown(uv_shutdown_t *request, int status) {
    struct conn *c = request->handle->data;
    free(request);
    if (status != 0 || c->eof) {
        close_conn(c);
    }
}

// Everything was written: say so to the job, and wait for its hang-up so that an answer on its way
// is not destroyed by a reset.
static void shut_down(struct conn *c) {
    if (c->tls && tls_end(c->tls)) {
        flush(c); // and here again once that is written
        return;
    }
    uv_shutdown_t *request = must_alloc(sizeof *request);
    if (uv_shutdown(request, &c->stream, on_shutdown) != 0) {
        free(request);
        close_conn(c);
        return;
    }
    uv_timer_start(&c->patience, on_linger, LINGER_MS, 0);
}

struct write {
    uv_write_t request;
    char bytes[];
};

static void start_reading(struct conn *c);
static void resume_reading(struct conn *c);

static void on_write(uv_write_t *request, int status) {
    struct conn *c = request->handle->data;
    free(request->data);
    c->writing = false;
    if (uv_is_closing(&c->handle)) {
        return;
    }
    if (status != 0) {
        close_conn(c);
    } else if (has_output(c)) {
        flush(c);
    } else if (c->ending) {
        shut_down(c);
    } else {
        resume_reading(c);
    }
}

static void flush(struct conn *c) {
    if (c->writing || !has_output(c) || uv_is_closing(&c->handle)) {
        return;
    }
    if (c->tls && !tls_send(c->tls, &c->out)) {
        close_conn(c);
        return;
    }
    struct buf *out = c->tls ? tls_out(c->tls) : &c->out;
    struct write *w = must_alloc(sizeof *w + out->len);
    w->request.data = w;
    memcpy(w->bytes, out->data, out->len);
    uv_buf_t bytes = uv_buf_init(w->bytes, (unsigned)out->len);
    buf_free(out);
    c->writing = true;
    if (uv_write(&w->request, &c->stream, &bytes, 1, on_write) != 0) {
        free(w);
        c->writing = false;
        close_conn(c);
    }
}

void conn_send(struct conn *c, const char *bytes, size_t n) {
    buf_put(&c->out, bytes, n);
    if (c->out.failed) {
        log_warning("a job does not read its replies; its connection is closed run=%s",
                    c->run ? c->run->run->record.name : "-");
        close_conn(c);
    }
}

void conn_end(struct conn *c) {
    if (c->ending || uv_is_closing(&c->handle)) {
        return;
    }
    if (is_shaking(c)) {
        close_conn(c);
        return;
    }
    c->ending = true;
    c->pong_due = false;
    start_reading(c); // what still comes is thrown away; it is the hang-up that is waited for
    leave_run(c);
    if (has_output(c)) {
        flush(c);
    } else if (!c->writing) {
        shut_down(c);
    }
}

static void send_error(struct conn *c, const struct wire_error *error, uint64_t message) {
    struct buf line;
    buf_init(&line, 4096);
    error_print(error, message, &line);
    conn_send(c, line.data, line.len);
    buf_free(&line);
}

void conn_warn(struct conn *c, const struct wire_error *error) {
    send_error(c, error, 0);
    flush(c);
}

void conn_error(struct conn *c, const struct wire_error *error) {
    send_error(c, error, c->messages);
    c->app->figures->refused[error->code]++;
    if (error->fatal) {
        conn_end(c);
    }
}

static void take_line(struct conn *c, const char *line, size_t len) {
    if (len && line[len - 1] == '\r') {
        len--;
    }
    if (len) {
        c->app->figures->messages_received++;
        session_line(c, line, len);
    }
}

// What cannot be cut ends the connection: where the next message begins is not known.
static void refuse_message(struct conn *c, enum cut cut) {
    struct wire_error error;
    if (cut == CUT_NO_MEMORY) {
        wire_no_memory(&error);
    } else if (cut == CUT_TOO_LARGE) {
        wire_fail(&error, WIRE_TOO_LARGE,
                  "the message has over %llu bytes, the most this daemon takes "
                  "(ingest.max_message); the connection closes",
                  (unsigned long long)c->app->config.ingest.max_message_bytes);
    } else {
        wire_fail(&error, WIRE_UNSUPPORTED_PROTOCOL,
                  "a binary frame of a version other than %d; the connection closes",
                  FRAME_VERSION);
    }
    conn_error(c, &error);
}

static void take_message(struct conn *c, enum cut cut, struct slice message) {
    c->messages++;
    bool whole = cut == CUT_LINE || cut == CUT_FRAME; // else there is no message
    if (whole && !memory_has_room_for(message.len)) {
        cut = CUT_NO_MEMORY;
    }
    if (cut == CUT_LINE) {
        take_line(c, message.text, message.len);
    } else if (cut == CUT_FRAME) {
        c->app->figures->messages_received++;
        session_frame(c, message.text, message.len);
    } else {
        refuse_message(c, cut);
    }
}

// Whether nothing more may be taken from the job before it has read its replies or had its pong,
// before other ranks have caught up, or before there is memory.
static bool must_wait(const struct conn *c) {
    return c->out.len > OUT_BYTES_PAUSE || c->pong_due || ranks_is_ahead(c) || memory_is_short();
}

// Cuts what was read into messages, in place where they are whole. What must wait is kept.
static void take_bytes(struct conn *c, const char *bytes, size_t n) {
    struct slice left = {bytes, n}, message;
    if (n && c->messages == 0 && c->cutter.partial.len == 0 && !c->tls && !c->ending &&
        tls_begins_with(bytes[0])) {
        handshake_refuse_tls(c);
    }
    while (left.len && !c->ending && !uv_is_closing(&c->handle)) {
        if (must_wait(c)) {
            buf_put(&c->rest, left.text, left.len);
            if (c->rest.failed) {
                refuse_message(c, CUT_NO_MEMORY);
            }
            return;
        }
        enum cut cut = cutter_next(&c->cutter, &left, &message);
        if (cut != CUT_MORE) {
            take_message(c, cut, message);
        }
    }
}

// The step up to which an ack may speak. It speaks for the events before its step, too, and that of
// a step which was durable before it came must not overtake them: where there are such, for what
// had come when the wait for them began, once they are durable.
static int64_t spoken_for(struct conn *c) {
    uint64_t durable = c->app->durable;
    if (!c->ack_due || c->told_sequence <= durable) {
        c->held_sequence = 0;
        return c->sent_step;
    }
    if (c->held_sequence > durable) {
        return c->acked_step;
    }
    int64_t step = c->held_sequence ? c->held_step : c->acked_step;
    c->held_sequence = c->told_sequence;
    c->held_step = c->sent_step;
    return step;
}

static void send_ack(struct conn *c) {
    if (!c->run || c->sent_step < 0 || c->attempt != c->run->run->attempt) {
        return;
    }
    int64_t durable = c->run->durable_step, spoken = spoken_for(c);
    int64_t step = spoken < durable ? spoken : durable;
    bool is_held = c->held_sequence != 0;
    if (step > c->acked_step || (c->ack_due && !is_held && step >= 0)) {
        struct buf line;
        buf_init(&line, 256);
        ack_print(step, &line);
        conn_send(c, line.data, line.len);
        buf_free(&line);
        c->acked_step = step;
    }
    c->ack_due = c->ack_due && is_held;
}

// By a pong a job knows that its events, which have no acknowledgement, are stored. While the store
// is in trouble it only says that the daemon is there.
static void send_pong(struct conn *c) {
    static const char pong[] = "{\"type\":\"pong\"}\n";
    static const char not_stored[] = "{\"type\":\"pong\",\"stored\":false}\n";
    bool stored = c->sequence <= c->app->durable;
    if (c->pong_due && (stored || c->app->trouble)) {
        conn_send(c, stored ? pong : not_stored, (stored ? sizeof pong : sizeof not_stored) - 1);
        c->pong_due = false;
    }
}

void conn_pong(struct conn *c) {
    c->pong_due = true;
    send_pong(c);
}

// A job that hung up is let go when everything it sent is stored: its events and its end too.
static void end_when_done(struct conn *c) {
    if (c->eof && !c->ending && c->rest.len == 0 && c->sequence <= c->app->durable &&
        ranks_is_idle(c)) {
        conn_end(c);
    }
}

static void settle(struct conn *c) {
    if (!uv_is_closing(&c->handle)) {
        send_ack(c);
        send_pong(c);
        flush(c);
        end_when_done(c);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    (void)suggested;
    struct conn *c = handle->data;
    *out = c->tls ? uv_buf_init(c->app->sealed_buffer, APP_SEALED_BYTES)
                  : uv_buf_init(c->app->read_buffer, APP_READ_BYTES);
}

static void on_eof(struct conn *c, ssize_t status) {
    if (c->tls && !c->ending) { // under TLS an end that TLS did not announce is a cut
        if (is_shaking(c) && tls_is_begun(c->tls)) {
            handshake_failed(c, "the job's side hung up during the handshake");
        }
        status = UV_ECONNABORTED;
    }
    c->eof = true;
    uv_read_stop(&c->stream);
    c->reading = false;
    if (status != UV_EOF || (c->ending && !c->writing && c->out.len == 0)) {
        close_conn(c);
    } else {
        settle(c);
    }
}

static void stop_reading(struct conn *c) {
    if (c->reading) {
        uv_read_stop(&c->stream);
        c->reading = false;
    }
}

static void refuse_surplus(struct conn *c) {
    struct wire_error error;
    wire_fail(&error, WIRE_OVERLOADED,
              "as many jobs are connected as ingest.max_connections allows; try again later");
    c->app->figures->connections_refused++;
    conn_error(c, &error);
}

// What TLS says is wrong goes to the job; replies that still wait can not.
static void end_failed_tls(struct conn *c, bool during_handshake) {
    if (during_handshake) {
        handshake_failed(c, tls_failure(c->tls));
    } else {
        log_warning("a job's TLS connection broke, it is closed run=%s: %s",
                    c->run ? c->run->run->record.name : "-", tls_failure(c->tls));
    }
    buf_free(&c->out);
    conn_end(c);
}

// What the records of a read hold is taken like a read of a plain connection.
static void take_sealed(struct conn *c, const char *bytes, size_t n) {
    size_t plain_n;
    bool was_shaking = is_shaking(c);
    enum tls_state state =
        tls_receive(c->tls, bytes, n, c->app->read_buffer, APP_READ_BYTES, &plain_n);
    if (was_shaking && (state == TLS_OPEN || state == TLS_ENDED)) {
        uv_timer_stop(&c->patience);
        if (c->surplus) {
            refuse_surplus(c);
        }
    }
    take_bytes(c, c->app->read_buffer, plain_n);
    if (c->ending || uv_is_closing(&c->handle)) {
        return;
    }
    if (state == TLS_ENDED) {
        c->eof = true;
        stop_reading(c);
    } else if (state == TLS_NOT_TLS) {
        handshake_refuse_plain(c);
    } else if (state == TLS_FAILED) {
        end_failed_tls(c, was_shaking);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes) {
    struct conn *c = stream->data;
    if (n < 0) {
        on_eof(c, n);
        return;
    }
    c->app->figures->bytes_received += (uint64_t)n;
    if (!c->ending) {
        (c->tls ? take_sealed : take_bytes)(c, bytes->base, (size_t)n);
    }
    if (uv_is_closing(&c->handle)) {
        return;
    }
    settle(c);
    if (!uv_is_closing(&c->handle) && !c->ending && (c->rest.len || must_wait(c))) {
        stop_reading(c);
    }
    conn_resume_ranks(c->app);
    conn_apply_pressure(c->app);
}

static void start_reading(struct conn *c) {
    if (!c->reading && !c->eof && uv_read_start(&c->stream, on_alloc, on_read) == 0) {
        c->reading = true;
    }
}

static void resume_reading(struct conn *c) {
    if (c->app->paused || c->ending || uv_is_closing(&c->handle) || must_wait(c)) {
        return;
    }
    if (c->rest.len) {
        struct buf rest = c->rest;
        buf_init(&c->rest, APP_READ_BYTES);
        take_bytes(c, rest.data, rest.len);
        buf_free(&rest);
        settle(c);
    }
    if (c->rest.len == 0 && !c->ending && !uv_is_closing(&c->handle) && !must_wait(c)) {
        start_reading(c);
    }
}

void conn_acknowledge_all(struct app *app) {
    struct conn *next;
    for (struct conn *c = app->conns; c; c = next) {
        next = c->next;
        bool is_answered = c->pong_due;
        settle(c);
        if (is_answered && !c->pong_due && !app->draining) {
            resume_reading(c);
        }
    }
}

void conn_resume_ranks(struct app *app) {
    while (app->ranks_moved && !app->paused && !app->draining) { // one may let another go on
        app->ranks_moved = false;
        for (struct conn *c = app->conns; c; c = c->next) {
            if (c->rank && !c->reading) {
                resume_reading(c);
            }
        }
    }
}

void conn_apply_pressure(struct app *app) {
    if (app->draining) {
        return; // nothing is read any more, and the writer may be gone
    }
    size_t queued = writer_queued_bytes(app->writer), most = app->config.ingest.queue_bytes;
    app->figures->reads_paused = app->paused ? app->n_conns : 0;
    if (!app->paused && (queued > most || memory_is_short())) {
        app->paused = true;
        for (struct conn *c = app->conns; c; c = c->next) {
            if (!c->ending) {
                stop_reading(c);
            }
        }
    } else if (app->paused && queued <= most / 2 && !memory_is_short()) {
        app->paused = false;
        for (struct conn *c = app->conns; c; c = c->next) {
            resume_reading(c);
        }
    }
}

static struct conn *create(struct app *app, bool is_unix) {
    struct conn *c = NEW(struct conn);
    c->app = app;
    c->sent_step = c->acked_step = -1;
    cutter_init(&c->cutter, app->config.ingest.max_message_bytes);
    buf_init(&c->rest, APP_READ_BYTES);
    buf_init(&c->out, OUT_BYTES_MAX);
    if (is_unix) {
        CHECK(uv_pipe_init(&app->loop, &c->pipe, 0) == 0);
    } else {
        CHECK(uv_tcp_init(&app->loop, &c->tcp) == 0);
    }
    CHECK(uv_timer_init(&app->loop, &c->patience) == 0);
    c->handle.data = c->patience.data = c;
    c->open_handles = 2;
    c->next = app->conns;
    c->previous = &app->conns;
    if (c->next) {
        c->next->previous = &c->next;
    }
    app->conns = c;
    app->figures->connections_open = ++app->n_conns;
    app->figures->connections_total++;
    return c;
}

static void on_handshake_late(uv_timer_t *timer) {
    struct conn *c = timer->data;
    uint64_t wait_ms = c->app->config.ingest.handshake_wait_ms;
    if (is_shaking(c) && c->app->paused) { // it is we who do not read
        uv_timer_start(timer, on_handshake_late, wait_ms, 0);
        return;
    }
    if (is_shaking(c)) {
        handshake_failed(c, "the handshake was not over within ingest.tls.handshake_wait");
    }
    close_conn(c);
}

static void begin(struct conn *c) {
    struct app *app = c->app;
    bool full = app->n_conns > app->config.ingest.max_connections;
    bool paused = app->paused && !full;
    if (c->tls) {
        c->surplus = full;
        uv_timer_start(&c->patience, on_handshake_late, app->config.ingest.handshake_wait_ms, 0);
    } else if (full) {
        refuse_surplus(c);
    }
    if (!paused) {
        start_reading(c);
    }
}

void conn_accept(struct app *app, uv_stream_t *server, bool is_unix) {
    struct conn *c = create(app, is_unix);
    if (uv_accept(server, &c->stream) != 0) {
        close_conn(c);
        return;
    }
    if (!is_unix) {
        uv_tcp_nodelay(&c->tcp, 1);
        uv_tcp_keepalive(&c->tcp, 1, 60);
    }
    if (!is_unix && app->identity) {
        handshake_print_peer(&c->tcp, c->peer, sizeof c->peer);
        c->tls = tls_create(app->identity);
        if (!c->tls) {
            log_warning("no memory for a TLS connection; it is closed");
            close_conn(c);
            return;
        }
    }
    begin(c);
}

void conn_adopt(struct app *app, int fd) {
    struct conn *c = create(app, true);
    if (uv_pipe_open(&c->pipe, fd) != 0) {
        close(fd);
        close_conn(c);
        return;
    }
    begin(c);
}

void conn_end_all(struct app *app) {
    struct conn *next;
    for (struct conn *c = app->conns; c; c = next) {
        next = c->next;
        if (!uv_is_closing(&c->handle)) { // who does not read its replies is not waited for
            uv_timer_start(&c->patience, on_linger, LINGER_MS, 0);
        }
        if (!c->ending && !uv_is_closing(&c->handle)) {
            struct wire_error error;
            wire_fail(&error, WIRE_SHUTTING_DOWN,
                      "the daemon is stopping; connect again later and send "
                      "what is not acknowledged");
            conn_error(c, &error);
        }
    }
}
