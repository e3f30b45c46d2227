// One job's connection: bytes in, messages out of them, replies and acknowledgements back.
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "daemon/app.h"
#include "wire/cutter.h"
#include "wire/error.h"

struct live_run;

struct conn {
    struct conn *next, **previous; // in app->conns
    struct app *app;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_timer_t patience; // with a handshake; with the job's hang-up at the end
    struct tls *tls;     // NULL: plain
    char peer[64];       // where a TLS connection comes from
    bool surplus;        // more than may be connected, to be told once the handshake is over
    int open_handles;
    struct cutter cutter;
    struct buf rest;   // read, but not looked at before the job has taken its replies
    uint64_t messages; // lines and frames, read so far
    struct buf out;    // replies that wait for the socket
    bool writing, reading, ending, eof;

    // The session (session.c).
    struct live_run *run; // NULL before the hello; for a rank, before its run began
    struct rank *rank;    // NULL: not one of several ranks with shards (ranks.c)
    int64_t attempt;      // of the run when the hello came
    int64_t sent_step;    // the highest step that came over this connection, -1 before
    int64_t acked_step;
    uint64_t sequence;      // of the newest op of its run when its last message had been taken
    uint64_t told_sequence; // the same, when its last message had been taken that was no step
    uint64_t held_sequence; // acks wait for it (0: for none), and then speak up to held_step
    int64_t held_step;
    bool ack_due;  // a step that was stored or on its way already came again
    bool pong_due; // when what came before the ping is durable; nothing is read before
    bool notify;   // the job wants to be told of its run's alerts
};

// Accepts from a listening stream and begins to read.
void conn_accept(struct app *app, uv_stream_t *server, bool is_unix);
// Takes in one end of a socket pair.
void conn_adopt(struct app *app, int fd);
// Queues bytes to the job; what it does not take is bounded by not reading more from it.
void conn_send(struct conn *c, const char *bytes, size_t n);
// Answers a ping once all that came before it is durable; while the store is in trouble at once.
void conn_pong(struct conn *c);
// Tells the job what was wrong. A fatal error ends the connection once the job has it.
void conn_error(struct conn *c, const struct wire_error *error);
// Tells it what is no message's fault; it names line 0 and is never fatal.
void conn_warn(struct conn *c, const struct wire_error *error);
// Ends the connection once what is queued has been sent.
void conn_end(struct conn *c);
// Acknowledges what has become durable, and answers pings, on every connection; ends those whose
// job has hung up.
void conn_acknowledge_all(struct app *app);
// Reads on from ranks that need not wait for others any longer.
void conn_resume_ranks(struct app *app);
// Stops or resumes reading everywhere, by how much is queued for the writer.
void conn_apply_pressure(struct app *app);
// On the way out: tells every job, then ends.
void conn_end_all(struct app *app);

#endif
