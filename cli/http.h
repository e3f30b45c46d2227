// The daemon's REST API over HTTP, by libcurl. Blocking, except the stream's handle, which the
// caller drives with libcurl's multi interface.
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <curl/curl.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/check.h"
#include "cli/cli.h"

// The most an answer that is held in memory may have.
#define HTTP_ANSWER_MAX ((size_t)256 << 20)

struct http_answer {
    long status;     // 0 when there was no answer
    struct buf body; // of any answer, also one that says no
    char error[640]; // a sentence, empty when all is well
};

void http_answer_init(struct http_answer *answer);
void http_answer_free(struct http_answer *answer);

// GET of a path that begins with a slash. 0 when the daemon answered 2xx; otherwise -1 and the
// reason in answer->error. The answer may be used again for another call.
WARN_UNUSED int http_get(const struct cli *cli, const char *path, struct http_answer *answer);

// POST or DELETE; `json` is the body, NULL for none.
WARN_UNUSED int http_send(const struct cli *cli, const char *method, const char *path,
                          const char *json, struct http_answer *answer);

// Takes the body of a 2xx answer as it comes; returns false to break off.
typedef bool (*http_sink)(void *context, const char *bytes, size_t n);

// As http_get(), the body of a 2xx answer going to the sink, however long it is.
WARN_UNUSED int http_get_to(const struct cli *cli, const char *path, struct http_answer *answer,
                            http_sink sink, void *context);

// Appends text to a path or query, percent-encoded.
void http_put_escaped(struct buf *path, const char *text);
// Begins a path: the run's address and what comes behind it ("/series", or nothing).
void http_begin_run(struct buf *path, const char *run, const char *what);
// Appends "name=value&", or nothing when the value is NULL.
void http_put_filter(struct buf *path, const char *name, const char *value);

// A GET of Server-Sent Events to add to a multi handle; its answer and sink must outlive it.
struct http_stream;
struct http_stream *http_stream_create(const struct cli *cli, const char *path, http_sink sink,
                                       void *context);
CURL *http_stream_handle(struct http_stream *stream);
void http_stream_destroy(struct http_stream *stream);

#endif
