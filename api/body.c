#include "api/body.h"

#include "api/gzip.h"
#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>

// FNV-1a: whoever may write a run may as well write another; no one gains by a collision.
void etag_print(char etag[24], const void *bytes, size_t n) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const unsigned char *p = bytes, *end = p + n; p < end; p++) {
        hash = (hash ^ *p) * UINT64_C(1099511628211);
    }
    snprintf(etag, 24, "\"%016" PRIx64 "\"", hash);
}

static struct body_form take_buffer(struct buf *b) {
    struct body_form form = {.data = b->data, .len = b->len};
    if (!form.data) {
        form.data = must_alloc(1);
    } else if (b->len < b->cap / 2) {
        char *fitting = try_grow(form.data, b->len + 1);
        form.data = fitting ? fitting : form.data;
    }
    *b = (struct buf){.max = b->max};
    return form;
}

struct body *body_create(struct buf *b, const char *type, const char *etag) {
    struct body *body = NEW(struct body);
    body->refs = 1;
    body->type = type;
    body->plain = take_buffer(b);
    if (etag) {
        snprintf(body->etag, sizeof body->etag, "%s", etag);
    } else {
        etag_print(body->etag, body->plain.data, body->plain.len);
    }
    pthread_mutex_init(&body->lock, NULL);
    return body;
}

struct body *body_ref(struct body *b) {
    b->refs++;
    return b;
}

static void release_form(struct body_form *form) {
    if (form->response) {
        MHD_destroy_response(form->response); // frees the bytes when none is being sent any more
    } else {
        free(form->data);
    }
}

void body_unref(struct body *b) {
    if (b && --b->refs == 0) {
        release_form(&b->plain);
        release_form(&b->gzip);
        pthread_mutex_destroy(&b->lock);
        free(b);
    }
}

static bool compress(struct body *b) {
    struct buf out;
    if (!b->gzip.data && !b->incompressible) {
        buf_init(&out, SIZE_MAX / 2); // little more than the plain bytes, at the worst
        b->incompressible = !gzip_bytes(b->plain.data, b->plain.len, &out);
        if (b->incompressible) {
            buf_free(&out);
        } else {
            b->gzip = take_buffer(&out);
        }
    }
    return !b->incompressible;
}

struct body_form *body_form(struct body *b, bool gzip, bool *compressed) {
    *compressed = false;
    if (gzip && b->plain.len >= GZIP_BYTES_MIN) {
        pthread_mutex_lock(&b->lock);
        *compressed = compress(b);
        pthread_mutex_unlock(&b->lock);
    }
    return *compressed ? &b->gzip : &b->plain;
}

struct MHD_Response *body_response(struct body *b, struct body_form *form,
                                   body_header_fn *add_headers) {
    pthread_mutex_lock(&b->lock);
    if (!form->response) {
        do {
            form->response = MHD_create_response_from_buffer_with_free_callback_cls(
                form->len, form->data, free, form->data);
        } while (!form->response && memory_let_go());
        CHECK(form->response != NULL);
        add_headers(form->response, b, form == &b->gzip);
    }
    pthread_mutex_unlock(&b->lock);
    return form->response;
}

static void release_body(void *body) {
    body_unref(body);
}

struct MHD_Response *body_own_response(struct body *b, const struct body_form *form) {
    struct MHD_Response *r;
    body_ref(b);
    do {
        r = MHD_create_response_from_buffer_with_free_callback_cls(form->len, form->data,
                                                                   release_body, b);
    } while (!r && memory_let_go());
    CHECK(r != NULL);
    return r;
}
