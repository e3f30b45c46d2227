#include "api/answer.h"

#include "api/gzip.h"
#include "api/problem.h"
#include "api/request.h"
#include "api/shelf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DETAIL_MAX 4096
#define VARY "Accept, Accept-Encoding, Origin"

bool etag_matches(const char *if_none_match, const char *etag) {
    size_t len = strlen(etag);
    for (const char *p = if_none_match; *p;) {
        p += strspn(p, " \t,");
        if (*p == '*') {
            return true;
        }
        p += strncmp(p, "W/", 2) == 0 ? 2 : 0;
        size_t n = strcspn(p, ",");
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t')) {
            n--;
        }
        if (n == len && memcmp(p, etag, len) == 0) {
            return true;
        }
        p += strcspn(p, ",");
    }
    return false;
}

bool request_has(const struct request *q, const char *etag) {
    const char *header = request_header(q, MHD_HTTP_HEADER_IF_NONE_MATCH);
    return header && etag_matches(header, etag);
}

bool request_takes_gzip(const struct request *q) {
    return gzip_is_accepted(request_header(q, MHD_HTTP_HEADER_ACCEPT_ENCODING));
}

const char *request_origin(const struct request *q) {
    const char *origin = request_header(q, MHD_HTTP_HEADER_ORIGIN);
    const struct api_config *c = &q->api->config;
    for (size_t i = 0; origin && i < c->n_origins; i++) {
        if (strcmp(c->origins[i], "*") == 0) {
            return "*";
        }
        if (strcasecmp(c->origins[i], origin) == 0) {
            return origin;
        }
    }
    return NULL;
}

void answer_header(struct MHD_Response *response, const char *name, const char *value) {
    enum MHD_Result added;
    do {
        added = MHD_add_response_header(response, name, value);
    } while (added != MHD_YES && memory_let_go());
    CHECK(added == MHD_YES);
}

static enum MHD_Result send_or_keep(struct request *q, unsigned status,
                                    struct MHD_Response *response, struct body *body) {
    q->status = status;
    q->response = response;
    q->body = body ? body_ref(body) : NULL;
    return q->reader ? MHD_YES : answer_send(q);
}

enum MHD_Result answer_send(struct request *q) {
    enum MHD_Result rc = MHD_queue_response(q->connection, q->status, q->response);
    answer_drop(q);
    return rc;
}

void answer_drop(struct request *q) {
    if (q->response && !q->body) {
        MHD_destroy_response(q->response);
    }
    body_unref(q->body);
    q->response = NULL;
    q->body = NULL;
}

static void allow_origin(struct MHD_Response *response, const char *origin, const char *allow) {
    answer_header(response, "Access-Control-Allow-Origin", origin);
    answer_header(response, "Access-Control-Expose-Headers", "ETag, Allow, Retry-After");
    if (allow) { // what OPTIONS is asked for
        answer_header(response, "Access-Control-Allow-Methods", allow);
        answer_header(response, "Access-Control-Allow-Headers",
                      "Authorization, Content-Type, If-None-Match, Last-Event-ID");
        answer_header(response, "Access-Control-Max-Age", "600");
    }
}

enum MHD_Result answer_response(struct request *q, unsigned status, struct MHD_Response *response) {
    const char *origin = request_origin(q);
    answer_header(response, "X-Content-Type-Options", "nosniff");
    answer_header(response, MHD_HTTP_HEADER_VARY, VARY);
    if (q->allow) {
        answer_header(response, MHD_HTTP_HEADER_ALLOW, q->allow);
    }
    if (origin) {
        allow_origin(response, origin, q->allow);
    }
    return send_or_keep(q, status, response, NULL);
}

// What every answer with this body has; the ETag of a compressed one is a weak one, for the bytes
// are others.
static void add_headers(struct MHD_Response *r, const struct body *body, bool compressed) {
    char tag[sizeof body->etag + 2];
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, body->type);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, *body->etag ? "no-cache" : "no-store");
    if (*body->etag) {
        snprintf(tag, sizeof tag, "%s%s", compressed ? "W/" : "", body->etag);
        answer_header(r, MHD_HTTP_HEADER_ETAG, tag);
    }
    if (compressed) {
        answer_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    }
}

static void add_shared_headers(struct MHD_Response *r, const struct body *body, bool compressed) {
    add_headers(r, body, compressed);
    answer_header(r, "X-Content-Type-Options", "nosniff");
    answer_header(r, MHD_HTTP_HEADER_VARY, VARY);
}

static enum MHD_Result send_body(struct request *q, unsigned status, struct body *body) {
    if (*body->etag && request_has(q, body->etag)) {
        return answer_not_modified(q, body->etag);
    }
    bool compressed;
    struct body_form *form = body_form(body, request_takes_gzip(q), &compressed);
    if (!q->allow && !request_origin(q)) {
        return send_or_keep(q, status, body_response(body, form, add_shared_headers), body);
    }
    struct MHD_Response *r = body_own_response(body, form);
    add_headers(r, body, compressed);
    return answer_response(q, status, r);
}

enum MHD_Result answer_body(struct request *q, struct body *body) {
    return send_body(q, MHD_HTTP_OK, body);
}

static enum MHD_Result fail_size(struct request *q, struct buf *text) {
    size_t max = text->max;
    buf_free(text);
    return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE,
                          "the answer would be larger than %zu bytes; ask for less", max);
}

// Takes over the buffer and sends it with this ETag, or none; NULL: one of the bytes.
static enum MHD_Result send_buffer(struct request *q, unsigned status, const char *type,
                                   struct buf *text, const char *etag) {
    if (text->failed) {
        return fail_size(q, text);
    }
    struct body *body = body_create(text, type, etag);
    enum MHD_Result rc = send_body(q, status, body);
    body_unref(body);
    return rc;
}

enum MHD_Result answer_json(struct request *q, struct buf *json) {
    return send_buffer(q, MHD_HTTP_OK, TYPE_JSON, json, NULL);
}

enum MHD_Result answer_json_as(struct request *q, struct buf *json, const char *etag) {
    return send_buffer(q, MHD_HTTP_OK, TYPE_JSON, json, etag);
}

bool request_shelved(struct request *q, const char *key, enum MHD_Result *rc) {
    struct body *body = shelf_find(q->api->shelf, key, q->arrived);
    if (body) {
        *rc = answer_body(q, body);
        body_unref(body);
    }
    return body != NULL;
}

enum MHD_Result answer_shelved(struct request *q, const char *key, uint64_t version,
                               struct buf *text, const char *type) {
    if (text->failed) {
        return fail_size(q, text);
    }
    struct body *body = body_create(text, type, NULL);
    body->version = version;
    shelf_keep(q->api->shelf, key, body);
    enum MHD_Result rc = answer_body(q, body);
    body_unref(body);
    return rc;
}

enum MHD_Result answer_text(struct request *q, unsigned status, const char *type,
                            struct buf *text) {
    return send_buffer(q, status, type, text, "");
}

static struct MHD_Response *empty_response(void) {
    static char nothing[1];
    struct MHD_Response *r;
    do {
        r = MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    } while (!r && memory_let_go());
    CHECK(r != NULL);
    return r;
}

enum MHD_Result answer_not_modified(struct request *q, const char *etag) {
    struct MHD_Response *r = empty_response();
    answer_header(r, MHD_HTTP_HEADER_ETAG, etag);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    return answer_response(q, MHD_HTTP_NOT_MODIFIED, r);
}

enum MHD_Result answer_nothing(struct request *q, unsigned status) {
    return answer_response(q, status, empty_response());
}

enum MHD_Result answer_problem(struct request *q, unsigned status, const char *format, ...) {
    char detail[DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    struct buf json;
    buf_init(&json, SIZE_MAX / 2); // what came in an address, which is bounded
    problem_print(&json, status, detail, q->address);
    struct body *body = body_create(&json, TYPE_PROBLEM, "");
    struct MHD_Response *r = body_own_response(body, &body->plain);
    body_unref(body);
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE_PROBLEM);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_UNAUTHORIZED) {
        answer_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"pyrometer\"");
    }
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        answer_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    }
    return answer_response(q, status, r);
}

enum MHD_Result answer_store_problem(struct request *q) {
    return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the store cannot be read: %s",
                          reader_error(q->reader));
}
