#include "api/gzip.h"

#include "base/check.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

// Level 1: a reading of 50 layers shrinks to a fifth at a third of the default level's time.
#define LEVEL 1
#define WINDOW_BITS (15 + 16) // the gzip format
#define MEMORY_LEVEL 8
#define PIECE_BYTES ((size_t)64 * 1024)

struct gzip {
    z_stream z;
};

struct gzip *gzip_create(void) {
    struct gzip *g = NEW(struct gzip);
    if (deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(g);
        return NULL;
    }
    return g;
}

void gzip_destroy(struct gzip *g) {
    if (g) {
        deflateEnd(&g->z);
        free(g);
    }
}

// Runs the stream over what it was given, as far as it goes now.
static bool run(z_stream *z, int flush, struct buf *out) {
    do {
        char *room = buf_reserve(out, PIECE_BYTES);
        if (!room) {
            return false;
        }
        z->next_out = (unsigned char *)room;
        z->avail_out = (unsigned)PIECE_BYTES;
        if (deflate(z, flush) == Z_STREAM_ERROR) {
            return false;
        }
        out->len += PIECE_BYTES - z->avail_out;
    } while (z->avail_out == 0);
    return true;
}

bool gzip_add(struct gzip *g, const void *bytes, size_t n, bool last, struct buf *out) {
    const unsigned char *from = bytes;
    do {
        unsigned now = n < UINT_MAX ? (unsigned)n : UINT_MAX;
        g->z.next_in = (unsigned char *)(uintptr_t)from;
        g->z.avail_in = now;
        from += now;
        n -= now;
        if (!run(&g->z, last && n == 0 ? Z_FINISH : Z_NO_FLUSH, out)) {
            return false;
        }
    } while (n > 0);
    return true;
}

bool gzip_bytes(const void *bytes, size_t n, struct buf *out) {
    size_t before = out->len;
    struct gzip *g = gzip_create();
    bool good = g && gzip_add(g, bytes, n, true, out) && out->len - before < n;
    gzip_destroy(g);
    if (!good) {
        out->len = before;
        out->failed = false;
    }
    return good;
}

// "q=0", "q=0.0": not wanted.
static bool is_refused(const char *parameters, size_t n) {
    for (size_t i = 0; i + 2 < n; i++) {
        if (strncasecmp(parameters + i, "q=", 2) == 0) {
            return strspn(parameters + i + 2, "0.") >= n - i - 2;
        }
    }
    return false;
}

bool gzip_is_accepted(const char *header) {
    bool any = false;
    for (const char *p = header; p && *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ","), name = strcspn(p, ",; \t");
        bool refused = is_refused(p + name, n - name);
        if ((name == 4 && strncasecmp(p, "gzip", 4) == 0) ||
            (name == 6 && strncasecmp(p, "x-gzip", 6) == 0)) {
            return !refused;
        }
        any = any || (name == 1 && *p == '*' && !refused);
        p += n;
    }
    return any;
}
