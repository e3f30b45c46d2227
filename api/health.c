// GET /healthz and /readyz
#include "api/handlers.h"

enum MHD_Result health_get(struct request *q) {
    struct buf text;
    buf_init(&text, 16);
    buf_puts(&text, "ok\n");
    return answer_text(q, MHD_HTTP_OK, "text/plain; charset=utf-8", &text);
}

enum MHD_Result ready_get(struct request *q) {
    char reason[512];
    if (!board_ready(q->api->board, reason, sizeof reason)) {
        return answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing can be stored: %s", reason);
    }
    return health_get(q);
}
