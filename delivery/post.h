// HTTP POSTs by libcurl on the loop: none blocks it, each ends within its time whatever the other
// side does. Loop thread only.
#ifndef DELIVERY_POST_H
#define DELIVERY_POST_H

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

// status: HTTP's, 0 when there was no answer, and then `error` says why. retry_after_s: what the
// answer asked for, 0 for nothing.
typedef void post_done_fn(void *context, long status, double retry_after_s, const char *error);

// The status says that this body will never be taken, however often it comes.
bool post_is_final(long status);

struct poster *poster_create(uv_loop_t *loop);
// `done` is called once, later, unless the poster is closed before.
void poster_send(struct poster *p, const struct post *post, post_done_fn *done, void *context);
// Breaks off what is under way. The memory goes when the loop has closed the handles.
void poster_close(struct poster *p);

#endif
