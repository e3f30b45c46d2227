// One HTTP request, from its first line to the end of its answer. HTTP thread only.
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/body.h"
#include "api/query.h"
#include "api/server.h"

#define REQUEST_PARTS 2 // of an address that a pattern leaves open

struct request {
    struct api *api;
    struct MHD_Connection *connection;
    const char *method;
    char *address;             // as it came
    const char *query_text;    // within it, NULL without one
    bool seen;                 // headers are complete
    char *part[REQUEST_PARTS]; // decoded
    struct query query;
    const char *allow; // methods, where the answer names them
};

struct request *request_create(struct api *api, const char *address);
void request_destroy(struct request *q);
// A request's header, NULL when there is none.
const char *request_header(const struct request *q, const char *name);
// True when If-None-Match names this ETag.
bool request_has(const struct request *q, const char *etag);
// The same over the header's text.
bool etag_matches(const char *if_none_match, const char *etag);

// Answers. Each sends one and returns what the handler returns.

#define TYPE_JSON "application/json"
#define TYPE_PROBLEM "application/problem+json"

// Takes over the buffer. With an ETag of the bytes, and 304 where the client has them.
enum MHD_Result answer_json(struct request *q, struct buf *json);
enum MHD_Result answer_body(struct request *q, struct body *body); // the same, from a cache
// With an ETag that was known before the bytes were.
enum MHD_Result answer_json_as(struct request *q, struct buf *json, const char *etag);
enum MHD_Result answer_not_modified(struct request *q, const char *etag);
// Takes over the buffer; not to be kept by anyone.
enum MHD_Result answer_text(struct request *q, unsigned status, const char *type, struct buf *text);
enum MHD_Result answer_nothing(struct request *q, unsigned status);
// RFC 9457. `format` makes the detail: what was wrong, where, and what was expected.
enum MHD_Result answer_problem(struct request *q, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// 503 for an error of the store.
enum MHD_Result answer_store_problem(struct request *q);
// Sends and releases a response of the handler's own.
enum MHD_Result answer_response(struct request *q, unsigned status, struct MHD_Response *response);
void answer_header(struct MHD_Response *response, const char *name, const char *value);

#endif
