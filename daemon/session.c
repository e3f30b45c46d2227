#include "daemon/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/live.h"
#include "daemon/ranks.h"
#include "daemon/trouble.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <string.h>

// A run is begun only while its state can be had so many times: what is published of it and its
// checkpoints are likewise large.
#define RUN_COPIES 3

// Constant in time for one length, so that an answer's delay tells nothing about the token.
static bool same_secret(const char *expected, const char *given) {
    size_t n = strlen(expected), m = strlen(given);
    unsigned char differs = n != m;
    for (size_t i = 0; i < n; i++) {
        differs |= (unsigned char)(expected[i] ^ given[m ? i % m : 0]);
    }
    return !differs;
}

void session_end_others(struct live_run *l) {
    struct conn *next;
    for (struct conn *other = l->app->conns; other; other = next) {
        next = other->next;
        if (other->run == l && other->attempt != l->run->attempt) {
            struct wire_error error;
            wire_fail(&error, WIRE_STEP_ORDER,
                      "the run was taken up anew over another connection; this "
                      "one closes");
            error.fatal = true;
            conn_error(other, &error);
        }
    }
}

int session_join(struct live_run *l, struct hello *hello, struct wire_error *error) {
    int64_t rewind_step;
    enum run_join how = run_join(l->run, hello, &rewind_step);
    if (how == RUN_JOIN_REFUSED) {
        return wire_fail(
            error, WIRE_LAYERS_DIFFER,
            "run %s has %zu layers of other names or sizes than this hello's %zu and has "
            "not ended; take another run name, or rewind",
            hello->run, l->run->hello.n_layers, hello->n_layers);
    }
    if (how == RUN_JOIN_NEW_ATTEMPT) {
        bool is_rewind = hello->rewind || !hello_same_layers(&l->run->hello, hello);
        live_begin_attempt(l, hello, rewind_step, is_rewind);
    }
    live_resume(l);
    return 0;
}

static int join_or_create(struct conn *c, struct hello *h, struct wire_error *error) {
    struct live_run *l = NULL;
    if (ranks_check_plain(c->app, h, error) || live_load(c->app, h->run, &l, error)) {
        return -1;
    }
    if (!l) {
        if (!memory_is_there(RUN_COPIES * run_bytes(h->n_layers))) {
            return wire_no_memory(error);
        }
        l = live_create(c->app, h);
    } else if (session_join(l, h, error)) {
        return -1;
    }
    session_attach(c, l);
    session_end_others(l);
    session_welcome(c, l->run->record.name, l->durable_step);
    return 0;
}

void session_attach(struct conn *c, struct live_run *l) {
    l->n_conns += c->run != l;
    c->run = l;
    c->attempt = l->run->attempt;
}

void session_welcome(struct conn *c, const char *run, int64_t last_step) {
    struct buf reply;
    buf_init(&reply, 1024);
    welcome_print(run, last_step, &reply);
    conn_send(c, reply.data, reply.len);
    buf_free(&reply);
    trouble_tell(c);
    log_debug("job connected run=%s last_step=%lld", run, (long long)last_step);
}

static int hello(struct conn *c, const char *line, size_t len, struct wire_error *error) {
    struct app *app = c->app;
    if (c->run || c->rank) {
        return wire_fail(error, WIRE_BAD_HELLO, "a second hello on one connection; open another");
    }
    struct hello h;
    if (hello_parse(&h, line, len, error)) {
        return -1;
    }
    int rc;
    if (app->ingest_token && !same_secret(app->ingest_token, h.token)) {
        rc = wire_fail(error, WIRE_UNAUTHORIZED, "the hello's token is %s; the connection closes",
                       *h.token ? "wrong" : "missing");
    } else {
        c->notify = h.notify;
        rc = h.shards ? ranks_hello(c, &h, error) : join_or_create(c, &h, error);
    }
    hello_free(&h);
    return rc;
}

int session_misplaced(int64_t step, int64_t newest, struct wire_error *error) {
    return wire_fail(
        error, WIRE_STEP_ORDER,
        "step %lld comes after step %lld of this run and is not among its steps; to go "
        "back to a checkpoint say hello with \"resume\":{\"rewind\":STEP}; the step was "
        "dropped",
        (long long)step, (long long)newest);
}

static int no_hello(struct wire_error *error) {
    return wire_fail(error, WIRE_NO_HELLO,
                     "the first message must be a hello; the connection closes");
}

static size_t layers_of(const struct conn *c) {
    return c->rank ? ranks_layers(c) : c->run->run->hello.n_layers;
}

static int take_step(struct conn *c, struct step *s, struct wire_error *error) {
    struct live_run *l = c->run;
    enum run_place place = run_place(l->run, s->step);
    if (place == RUN_STEP_MISPLACED) {
        return session_misplaced(s->step, stepset_last(&l->run->steps), error);
    }
    if (place == RUN_STEP_NEW) {
        if (!live_step(l, s)) {
            return wire_no_memory(error);
        }
    } else {
        c->app->figures->steps_repeated++;
        c->ack_due = true;
    }
    c->sent_step = s->step > c->sent_step ? s->step : c->sent_step;
    return 0;
}

// The app's scratch step, just filled by a line or a frame.
static int accept_step(struct conn *c, struct wire_error *error) {
    struct app *app = c->app;
    struct step *s = &app->step;
    s->time = s->time > 0 ? s->time : clock_wall_s();
    size_t samples = s->n_columns * s->n_layers;
    if (c->rank ? ranks_step(c, s, error) : take_step(c, s, error)) {
        return -1;
    }
    app->figures->steps_received++;
    app->figures->samples_received += samples;
    return 0;
}

static int step(struct conn *c, const char *line, size_t len, struct wire_error *error) {
    return step_parse(&c->app->step, line, len, layers_of(c), error) ? -1 : accept_step(c, error);
}

static int frame(struct conn *c, const void *bytes, size_t len, struct wire_error *error) {
    if (!c->run && !c->rank) {
        return no_hello(error);
    }
    return frame_parse(&c->app->step, bytes, len, layers_of(c), error) ? -1 : accept_step(c, error);
}

static int scalars(struct conn *c, const char *line, size_t len, struct wire_error *error) {
    struct step *s = &c->app->step;
    if (step_parse(s, line, len, layers_of(c), error)) {
        return -1;
    }
    s->time = s->time > 0 ? s->time : clock_wall_s();
    if (c->rank) {
        return ranks_scalars(c, s, error);
    } else {
        return live_scalars(c->run, s) ? 0 : wire_no_memory(error);
    }
    return 0;
}

static int event(struct conn *c, const char *line, size_t len, struct wire_error *error) {
    struct event e;
    if (event_parse(&e, line, len, error)) {
        return -1;
    }
    e.time = e.time > 0 ? e.time : clock_wall_s();
    if (c->rank) {
        ranks_event(c, &e);
    } else {
        live_event(c->run, &e);
    }
    event_free(&e);
    return 0;
}

static int outputs(struct conn *c, const char *line, size_t len, struct wire_error *error) {
    struct outputs o = {0};
    if (outputs_parse(&o, line, len, error)) {
        return -1;
    }
    o.time = o.time > 0 ? o.time : clock_wall_s();
    if (c->rank) {
        ranks_outputs(c, &o);
    } else {
        live_outputs(c->run, &o);
    }
    outputs_free(&o);
    return 0;
}

static int end(struct conn *c, const char *line, size_t len, struct wire_error *error) {
    const char *status;
    if (end_parse(&status, line, len, error)) {
        return -1;
    }
    if (c->rank) {
        ranks_end(c, status);
    } else {
        live_end(c->run, status);
    }
    return 0;
}

static int dispatch(struct conn *c, enum message_type type, const char *line, size_t len,
                    struct wire_error *error) {
    if (type == MESSAGE_HELLO) {
        return hello(c, line, len, error);
    }
    if (type == MESSAGE_PING) {
        conn_pong(c);
        return 0;
    }
    if (!c->run && !c->rank) {
        return no_hello(error);
    }
    switch (type) {
    case MESSAGE_STEP:
        return step(c, line, len, error);
    case MESSAGE_SCALARS:
        return scalars(c, line, len, error);
    case MESSAGE_EVENT:
        return event(c, line, len, error);
    case MESSAGE_OUTPUTS:
        return outputs(c, line, len, error);
    case MESSAGE_END:
        return end(c, line, len, error);
    case MESSAGE_HELLO:
    case MESSAGE_PING:
        break;
    }
    return 0;
}

void session_line(struct conn *c, const char *line, size_t len) {
    enum message_type type = MESSAGE_STEP;
    struct wire_error error;
    if (message_type(line, len, &type, &error) || dispatch(c, type, line, len, &error)) {
        conn_error(c, &error);
    }
    c->sequence = c->run ? c->run->pushed : c->sequence;
    c->told_sequence = type == MESSAGE_STEP ? c->told_sequence : c->sequence;
}

void session_frame(struct conn *c, const void *bytes, size_t len) {
    struct wire_error error;
    if (frame(c, bytes, len, &error)) {
        conn_error(c, &error);
    }
    c->sequence = c->run ? c->run->pushed : c->sequence;
}
