// POST /api/v1/ingest: the line protocol over HTTP. HTTP thread only.
#ifndef API_INGEST_H
#define API_INGEST_H

#include "api/request.h"

// At the end of the headers, once the request is known to be allowed: opens the session. When that
// cannot be, the request has been answered.
enum MHD_Result ingest_begin(struct request *q);
// A piece of the body; returns how much of it was taken.
size_t ingest_take(struct request *q, const char *bytes, size_t n);
// At the request's end, however it came about.
void ingest_end(struct request *q);

#endif
