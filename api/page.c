// GET / and GET /assets/{file}: the dashboard. Everything comes from this daemon, and the policy in
// the headers allows nothing else. The files hold nothing of any run, so they are open even where a
// token is wanted: the page asks for it.
#include "api/assets.h"
#include "api/handlers.h"

#include <string.h>

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "                   \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "                    \
    "frame-ancestors 'none'"

static const struct asset *find_asset(const char *name) {
    for (size_t i = 0; i < assets_count; i++) {
        if (strcmp(assets[i].name, name) == 0) {
            return &assets[i];
        }
    }
    return NULL;
}

// "gzip" among the codings that the client takes; one with a weight of nothing is not taken.
static bool takes_gzip(const struct request *q) {
    const char *header = request_header(q, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    const char *at = header ? strstr(header, "gzip") : NULL;
    return at && strncmp(at + 4, ";q=0", 4) != 0;
}

static enum MHD_Result answer_asset(struct request *q, const struct asset *asset) {
    if (request_has(q, asset->etag)) {
        return answer_not_modified(q, asset->etag);
    }
    bool packed = asset->gzip && takes_gzip(q);
    const unsigned char *bytes = packed ? asset->gzip : asset->bytes;
    struct MHD_Response *r;
    do {
        r = MHD_create_response_from_buffer(packed ? asset->gzip_len : asset->len,
                                            (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    } while (!r && memory_let_go());
    CHECK(r != NULL);
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, asset->type);
    answer_header(r, MHD_HTTP_HEADER_ETAG, asset->etag);
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    answer_header(r, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    answer_header(r, "Content-Security-Policy", POLICY);
    answer_header(r, "Referrer-Policy", "no-referrer");
    if (packed) {
        answer_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    }
    return answer_response(q, MHD_HTTP_OK, r);
}

enum MHD_Result page_get(struct request *q) {
    const struct asset *asset = find_asset("index.html");
    CHECK(asset != NULL);
    return answer_asset(q, asset);
}

enum MHD_Result page_asset_get(struct request *q) {
    const struct asset *asset = find_asset(q->part[0]);
    if (!asset) {
        return answer_problem(q, MHD_HTTP_NOT_FOUND, "the dashboard has no file \"%.100s\"",
                              q->part[0]);
    }
    return answer_asset(q, asset);
}
