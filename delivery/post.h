// HTTP POSTs by libcurl on a loop: none blocks it, each ends within its time whatever the other
// side does. A poster belongs to the thread of its loop.
#ifndef DELIVERY_POST_H
#define DELIVERY_POST_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct poster;

struct post {
    const char *url;
    const char *const *headers; // "Name: value", ended by NULL; copied
    const char *body;           // copied
    size_t size;
};

// status: HTTP's, 0 when there was no answer. `error` says why there was none, or is the beginning
// of the answer's first line. retry_after_s: what the answer asked for, 0 for nothing.
typedef void post_done_fn(void *context, long status, double retry_after_s, const char *error);

// The status says that this body will never be taken, however often it comes.
bool post_is_final(long status);

// SCHEME://USER:PASSWORD@HOST/PATH?QUERY without user, password and query; one that is secret,
// without its path either.
void post_put_public_url(struct buf *out, const char *url, bool is_secret);

// How long to wait after so many failures in a row: 1, 2, 4 ... seconds, at most max_s, a quarter
// of it more by chance, or as long as the answer asked for, an hour at most.
double post_pause_s(unsigned failures, double max_s, double retry_after_s);

struct poster *poster_create(uv_loop_t *loop);
// `done` is called once, later, unless the poster is closed before.
void poster_send(struct poster *p, const struct post *post, post_done_fn *done, void *context);
// Breaks off what is under way. The memory goes when the loop has closed the handles.
void poster_close(struct poster *p);

#endif
