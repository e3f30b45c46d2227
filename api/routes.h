// The table of all calls.
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/handlers.h"

// Where a handler runs: on a worker (as short or long work), or at once on the HTTP thread, where
// it must not wait and has no store to read.
enum route_place { ROUTE_BRIEF, ROUTE_LONG, ROUTE_HERE };

struct route {
    const char *method;
    const char *pattern; // parts in braces are open
    handler_fn *handler;
    const struct parameter *parameters; // NULL: takes none
    const char *summary, *type; // for the OpenAPI document: a sentence, and the answer's type
    bool is_open;               // wants no token
    enum route_place place;
};

extern const struct route routes[];
extern const size_t routes_count;

// At the end of the headers: where a body is to be taken, begins that, or answers why it is not.
enum MHD_Result routes_begin(struct request *q);
// Answers the request: authorization, path, method, query, then the call's handler.
enum MHD_Result routes_answer(struct request *q);

// True when the path (without its query) has the pattern's form; *part are the decoded open parts
// then, to be freed. Exposed for tests.
bool route_matches(const char *pattern, const char *path, char *part[REQUEST_PARTS]);
// In a time that does not depend on where the texts differ.
bool token_matches(const char *token, const char *given);

#endif
