// The dashboard's files as they were when the daemon was built: scripts/embed.py writes the table
// from web/ into the build directory. Constant, for any thread.
#ifndef API_ASSETS_H
#define API_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name; // "index.html": below /assets/, the first also at /
    const char *type; // its Content-Type
    const char *etag; // quoted, of the bytes
    const unsigned char *bytes;
    size_t len;
    const unsigned char *gzip; // NULL where it would not be smaller
    size_t gzip_len;
};

extern const struct asset assets[];
extern const size_t assets_count;

#endif
