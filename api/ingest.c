// POST /api/v1/ingest: the line protocol over HTTP, answered when all of it is durable.
#include "api/ingest.h"

#include "api/emit.h"
#include "api/handlers.h"
#include "api/problem.h"
#include "api/relay.h"
#include "config/limits.h"

#include <string.h>
#include <strings.h>

#define ANSWER_BYTES_MAX ((size_t)2 << 20)

static unsigned status_of(const char *code) {
    static const struct {
        const char *code;
        unsigned status;
    } known[] = {
        {"unauthorized", 401}, {"layers_differ", 409}, {"step_order", 409},
        {"too_large", 413},    {"overloaded", 503},    {"shutting_down", 503},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].code, code) == 0) {
            return known[i].status;
        }
    }
    return MHD_HTTP_BAD_REQUEST;
}

enum MHD_Result ingest_begin(struct request *q) {
    const char *coding = request_header(q, MHD_HTTP_HEADER_CONTENT_ENCODING);
    char message[256] = "";
    if (coding && strcasecmp(coding, "identity") != 0) {
        return answer_problem(q, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                              "the body is in the coding \"%.40s\"; expected it as it is", coding);
    }
    int fd = q->api->config.open_session(q->api->config.context, message);
    q->session = fd >= 0 ? relay_open(q->api->relay, fd, q->connection) : NULL;
    if (!q->session) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing can be taken: %s",
                              *message ? message : "the daemon is stopping");
    }
    return MHD_YES;
}

size_t ingest_take(struct request *q, const char *bytes, size_t n) {
    bool fits = q->uploaded + n <= LIMIT_HTTP_BODY_BYTES;
    size_t taken = fits ? relay_send(q->api->relay, q->session, bytes, n) : n;
    q->too_long = q->too_long || !fits;
    q->uploaded += fits ? taken : 0;
    return taken;
}

void ingest_end(struct request *q) {
    relay_close(q->api->relay, q->session);
    q->session = NULL;
}

static void emit_outcome(struct emit *e, const struct upload_outcome *o) {
    if (*o->run) {
        emit_raw(e, "run", o->run, strlen(o->run));
    } else {
        emit_null(e, "run");
    }
    emit_step(e, "last_step", o->last_step);
    emit_step(e, "acknowledged", o->acked);
    emit_integer(e, "refused", (int64_t)o->n_errors);
    emit_array(e, "errors");
    if (o->errors.len) {
        emit_raw(e, NULL, o->errors.data, o->errors.len);
    }
    emit_end(e);
}

// RFC 9457 lets a problem have members of its own.
static void emit_problem(struct emit *e, const struct request *q, unsigned status,
                         const struct upload_outcome *o) {
    emit_text(e, "type", "about:blank");
    emit_text(e, "title", problem_title(status));
    emit_integer(e, "status", status);
    if (q->too_long) {
        emit_text(e, "detail",
                  "the body is over 64 MiB; what came before that was taken, as far as this tells");
    } else if (o->fatal) {
        emit_raw(e, "detail", o->fatal, strlen(o->fatal));
    } else {
        emit_text(e, "detail",
                  *o->run ? "the session broke off, for the daemon is stopping"
                          : "the body has no message; expected the line protocol, a hello first");
    }
    emit_text(e, "instance", q->address);
}

enum MHD_Result ingest_post(struct request *q) {
    const struct upload_outcome *o = relay_finish(q->api->relay, q->session);
    if (!o) {
        return MHD_YES; // asked again at the session's end
    }
    bool stopping = atomic_load(&q->api->stopping);
    unsigned status = o->fatal  ? status_of(o->fatal_code)
                      : *o->run ? MHD_HTTP_OK
                                : MHD_HTTP_BAD_REQUEST;
    status = stopping && !o->fatal ? MHD_HTTP_SERVICE_UNAVAILABLE : status;
    status = q->too_long ? MHD_HTTP_CONTENT_TOO_LARGE : status;
    struct buf json;
    buf_init(&json, ANSWER_BYTES_MAX);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    if (status != MHD_HTTP_OK) {
        emit_problem(&e, q, status, o);
    }
    emit_outcome(&e, o);
    emit_end(&e);
    return answer_text(q, status, status == MHD_HTTP_OK ? TYPE_JSON : TYPE_PROBLEM, &json);
}
