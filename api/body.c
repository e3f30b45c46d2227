#include "api/body.h"

#include "base/check.h"

#include <inttypes.h>

// FNV-1a: whoever may write a run may as well write another; no one gains by a collision.
void etag_print(char etag[24], const void *bytes, size_t n) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const unsigned char *p = bytes, *end = p + n; p < end; p++) {
        hash = (hash ^ *p) * UINT64_C(1099511628211);
    }
    snprintf(etag, 24, "\"%016" PRIx64 "\"", hash);
}

struct body *body_create(struct buf *b) {
    struct body *body = NEW(struct body);
    body->refs = 1;
    body->len = b->len;
    body->data = b->data;
    *b = (struct buf){.max = b->max};
    etag_print(body->etag, body->data ? body->data : "", body->len);
    return body;
}

struct body *body_ref(struct body *b) {
    b->refs++;
    return b;
}

void body_unref(struct body *b) {
    if (b && --b->refs == 0) {
        free(b->data);
        free(b);
    }
}
