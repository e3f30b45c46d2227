// What a handler may answer. Each of these makes the request's one answer and returns what the
// handler returns. On the HTTP thread it is sent at once; on a worker it is kept until the HTTP
// thread has the connection again.
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/body.h"

#define TYPE_JSON "application/json"
#define TYPE_PROBLEM "application/problem+json"

struct request;

// Takes over the buffer. With an ETag of the bytes, and 304 where the client has them.
enum MHD_Result answer_json(struct request *q, struct buf *json);
// With an ETag that was known before the bytes were.
enum MHD_Result answer_json_as(struct request *q, struct buf *json, const char *etag);
// The same from a cache; the caller keeps its reference.
enum MHD_Result answer_body(struct request *q, struct body *body);
// Like answer_json, and keeps the body for others who ask for the same: with request_shelved().
enum MHD_Result answer_shelved(struct request *q, const char *key, uint64_t version,
                               struct buf *text, const char *type);
// Answers with what is kept under the key if it is new enough for this request. False: nothing was
// done.
bool request_shelved(struct request *q, const char *key, enum MHD_Result *rc);
enum MHD_Result answer_not_modified(struct request *q, const char *etag);
// Takes over the buffer; not to be kept by anyone.
enum MHD_Result answer_text(struct request *q, unsigned status, const char *type, struct buf *text);
enum MHD_Result answer_nothing(struct request *q, unsigned status);
// RFC 9457. `format` makes the detail: what was wrong, where, and what was expected.
enum MHD_Result answer_problem(struct request *q, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// 503 for an error of the store.
enum MHD_Result answer_store_problem(struct request *q);
// A response of the handler's own: sends and releases it.
enum MHD_Result answer_response(struct request *q, unsigned status, struct MHD_Response *response);
void answer_header(struct MHD_Response *response, const char *name, const char *value);

// True when If-None-Match names this ETag.
bool request_has(const struct request *q, const char *etag);
// The same over the header's text.
bool etag_matches(const char *if_none_match, const char *etag);
// Whether the client takes compressed answers.
bool request_takes_gzip(const struct request *q);
// Whether a page of that origin may use this API: NULL when not, else what to tell its browser.
const char *request_origin(const struct request *q);

// HTTP thread: sends what a worker made; throws it away.
enum MHD_Result answer_send(struct request *q);
void answer_drop(struct request *q);

#endif
