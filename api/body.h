// Bytes of an answer, shared by reference count between a cache and the answers that are being
// sent. HTTP thread only.
#ifndef API_BODY_H
#define API_BODY_H

#include "base/buf.h"

struct body {
    unsigned refs;
    char *data;
    size_t len;
    char etag[24]; // of the bytes, quoted
};

// Takes over the buffer's memory; the buffer is left empty.
struct body *body_create(struct buf *b);
struct body *body_ref(struct body *b);
void body_unref(struct body *b);
// A quoted ETag of a text.
void etag_print(char etag[24], const void *bytes, size_t n);

#endif
