// One HTTP request, from its first line to the end of its answer.
//
// It begins on the HTTP thread, which must not wait: handlers that read the store or compute long
// run on a worker, while the connection is suspended. Either way a handler makes one answer with
// the functions below.
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/answer.h"
#include "api/query.h"
#include "api/server.h"
#include "api/workers.h"

#define REQUEST_PARTS 2 // of an address that a pattern leaves open

typedef enum MHD_Result handler_fn(struct request *q);

struct request {
    struct api *api;
    struct MHD_Connection *connection;
    const char *method;
    char *address;             // as it came
    const char *query_text;    // within it, NULL without one
    bool seen;                 // headers are complete
    char *part[REQUEST_PARTS]; // decoded
    struct query query;
    struct buf upload;      // the body that came, at most LIMIT_HTTP_FORM_BYTES
    const char *allow;      // methods, where the answer names them
    uint64_t arrived;       // the board's version then: an answer may not be older
    struct upload *session; // that takes the body as it comes; NULL: it is kept in `upload`
    uint64_t uploaded;      // bytes that the session was given
    bool too_long;          // there were more than may be
    struct reader *reader;  // the worker's; NULL on the HTTP thread

    // Private to request.c and answer.c
    struct work work;
    handler_fn *later;
    unsigned status; // of the answer that a worker made; 0: there is none
    struct MHD_Response *response;
    struct body *body; // whose the response is; NULL: it is the request's own
};

struct request *request_create(struct api *api, const char *address);
void request_destroy(struct request *q);
// A request's header, NULL when there is none.
const char *request_header(const struct request *q, const char *name);
// Until when work that begins now may go on, of the monotonic clock.
uint64_t request_deadline_ns(void);
// Goes on with `handler` on a worker, or at once when it is on one. Returns what the handler
// returns.
enum MHD_Result request_defer(struct request *q, handler_fn *handler, bool is_long);

#endif
