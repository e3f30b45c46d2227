#include "api/request.h"

#include "base/clock.h"
#include "base/memory.h"
#include "config/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// The form of a request to a proxy, http://HOST/PATH, is taken as well.
static const char *without_host(const char *address) {
    if (strncasecmp(address, "http://", 7) != 0 && strncasecmp(address, "https://", 8) != 0) {
        return address;
    }
    const char *path = strchr(strstr(address, "//") + 2, '/');
    return path ? path : "/";
}

struct request *request_create(struct api *api, const char *address) {
    struct request *q = NEW(struct request);
    q->api = api;
    buf_init(&q->upload, LIMIT_HTTP_FORM_BYTES);
    q->address = must_copy(without_host(address));
    const char *query = strchr(q->address, '?');
    q->query_text = query ? query + 1 : NULL;
    return q;
}

void request_destroy(struct request *q) {
    if (q) {
        for (size_t i = 0; i < REQUEST_PARTS; i++) {
            free(q->part[i]);
        }
        answer_drop(q);
        query_free(&q->query);
        buf_free(&q->upload);
        free(q->address);
        free(q);
    }
}

uint64_t request_deadline_ns(void) {
    return clock_monotonic_ns() + LIMIT_HTTP_REQUEST_S * UINT64_C(1000000000);
}

const char *request_header(const struct request *q, const char *name) {
    return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

static void run_later(struct work *work, struct reader *reader) {
    struct request *q = (struct request *)((char *)work - offsetof(struct request, work));
    struct MHD_Connection *connection = q->connection;
    q->reader = reader;
    if (q->later(q) != MHD_YES && !q->status) {
        answer_problem(q, MHD_HTTP_INTERNAL_SERVER_ERROR, "no answer could be made");
    }
    q->reader = NULL;
    MHD_resume_connection(connection); // the HTTP thread goes on with it: q is no longer ours
}

enum MHD_Result request_defer(struct request *q, handler_fn *handler, bool is_long) {
    if (q->reader) {
        return handler(q);
    }
    q->later = handler;
    q->work = (struct work){.is_long = is_long, .run = run_later};
    MHD_suspend_connection(q->connection);
    if (!workers_add(q->api->workers, &q->work)) {
        MHD_resume_connection(q->connection);
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the daemon is stopping");
    }
    return MHD_YES;
}
