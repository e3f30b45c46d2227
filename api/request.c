#include "api/request.h"

#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL_MAX 4096

struct request *request_create(struct api *api, const char *address) {
    struct request *q = NEW(struct request);
    q->api = api;
    q->address = strdup(address);
    CHECK(q->address != NULL);
    const char *query = strchr(q->address, '?');
    q->query_text = query ? query + 1 : NULL;
    return q;
}

void request_destroy(struct request *q) {
    if (q) {
        for (size_t i = 0; i < REQUEST_PARTS; i++) {
            free(q->part[i]);
        }
        query_free(&q->query);
        free(q->address);
        free(q);
    }
}

const char *request_header(const struct request *q, const char *name) {
    return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

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

void answer_header(struct MHD_Response *response, const char *name, const char *value) {
    CHECK(MHD_add_response_header(response, name, value) == MHD_YES);
}

enum MHD_Result answer_response(struct request *q, unsigned status, struct MHD_Response *response) {
    answer_header(response, "X-Content-Type-Options", "nosniff");
    if (q->allow) {
        answer_header(response, MHD_HTTP_HEADER_ALLOW, q->allow);
    }
    enum MHD_Result rc = MHD_queue_response(q->connection, status, response);
    MHD_destroy_response(response);
    return rc;
}

static void release_body(void *body) {
    body_unref(body);
}

// Takes over the reference. Copies nothing: the bytes live until they are sent.
static struct MHD_Response *respond_with(struct body *body) {
    static const char nothing[1] = "";
    struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback_cls(
        body->len, body->data ? body->data : (void *)(uintptr_t)nothing, release_body, body);
    CHECK(r != NULL);
    return r;
}

enum MHD_Result answer_not_modified(struct request *q, const char *etag) {
    struct buf empty;
    buf_init(&empty, 1);
    struct MHD_Response *r = respond_with(body_create(&empty));
    answer_header(r, MHD_HTTP_HEADER_ETAG, etag);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    return answer_response(q, MHD_HTTP_NOT_MODIFIED, r);
}

static enum MHD_Result send_tagged(struct request *q, struct body *body, const char *etag) {
    char tag[sizeof body->etag];
    snprintf(tag, sizeof tag, "%s", etag); // may be the body's own, which goes with it
    if (request_has(q, tag)) {
        body_unref(body);
        return answer_not_modified(q, tag);
    }
    struct MHD_Response *r = respond_with(body);
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE_JSON);
    answer_header(r, MHD_HTTP_HEADER_ETAG, tag);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    return answer_response(q, MHD_HTTP_OK, r);
}

enum MHD_Result answer_body(struct request *q, struct body *body) {
    return send_tagged(q, body_ref(body), body->etag);
}

static enum MHD_Result fail_size(struct request *q, struct buf *text) {
    buf_free(text);
    return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE,
                          "the answer would be larger than %zu bytes; ask for less", text->max);
}

enum MHD_Result answer_json(struct request *q, struct buf *json) {
    if (json->failed) {
        return fail_size(q, json);
    }
    struct body *body = body_create(json);
    return send_tagged(q, body, body->etag);
}

enum MHD_Result answer_json_as(struct request *q, struct buf *json, const char *etag) {
    return json->failed ? fail_size(q, json) : send_tagged(q, body_create(json), etag);
}

enum MHD_Result answer_text(struct request *q, unsigned status, const char *type,
                            struct buf *text) {
    if (text->failed) {
        return fail_size(q, text);
    }
    struct MHD_Response *r = respond_with(body_create(text));
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return answer_response(q, status, r);
}

enum MHD_Result answer_nothing(struct request *q, unsigned status) {
    struct buf empty;
    buf_init(&empty, 1);
    return answer_response(q, status, respond_with(body_create(&empty)));
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
    struct MHD_Response *r = respond_with(body_create(&json));
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
                          reader_error(q->api->reader));
}
