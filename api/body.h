// Bytes of an answer, shared by reference count between caches and the answers that are being sent;
// compressed once, when somebody first wants that. Any thread.
#ifndef API_BODY_H
#define API_BODY_H

#include "base/buf.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>

// One form of the bytes. Once there is a response it owns them: they live until the last one is
// sent.
struct body_form {
    char *data;
    size_t len;
    struct MHD_Response *response; // NULL: none was made yet
};

struct body {
    _Atomic unsigned refs;
    const char *type; // its content type, a constant
    char etag[24];    // of the bytes, quoted; empty: it has none and is not to be kept by anyone
    uint64_t version; // for the cache that holds it
    struct body_form plain;
    // Private to body.c
    pthread_mutex_t lock;
    struct body_form gzip;
    bool incompressible;
};

// Takes over the buffer's memory; the buffer is left empty. The ETag is made of the bytes where it is
// NULL; "" is none.
struct body *body_create(struct buf *b, const char *type, const char *etag);
struct body *body_ref(struct body *b);
void body_unref(struct body *b); // NULL is fine
// The form to send, compressed where it is wanted and worth it; *compressed tells. The body's.
struct body_form *body_form(struct body *b, bool gzip, bool *compressed);
// A response over the form's bytes that all requests may share, made by `make` the first time. It
// is the body's: it lasts as long as a reference to the body.
typedef void body_header_fn(struct MHD_Response *response, const struct body *body,
                            bool compressed);
struct MHD_Response *body_response(struct body *b, struct body_form *form,
                                   body_header_fn *add_headers);
// A response of the caller's own, that holds a reference to the body.
struct MHD_Response *body_own_response(struct body *b, const struct body_form *form);
// A quoted ETag of a text.
void etag_print(char etag[24], const void *bytes, size_t n);

#endif
