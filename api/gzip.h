// Compression of answers, as HTTP's gzip content coding has it. Any thread.
#ifndef API_GZIP_H
#define API_GZIP_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

// Answers below this gain nothing.
#define GZIP_BYTES_MIN 1024

// Appends the compressed bytes. False, with *out as it was, when memory is gone or it would become
// larger.
bool gzip_bytes(const void *bytes, size_t n, struct buf *out);

// The same a piece at a time, for answers that are made while they are sent.
struct gzip;

struct gzip *gzip_create(void);
void gzip_destroy(struct gzip *g);
// Appends what of it is ready; with `last` all of it. False when memory is gone.
bool gzip_add(struct gzip *g, const void *bytes, size_t n, bool last, struct buf *out);

// Whether an Accept-Encoding header (NULL: none) takes gzip.
bool gzip_is_accepted(const char *accept_encoding);

#endif
