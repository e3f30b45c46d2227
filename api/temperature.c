// GET /api/v1/runs/{run}/temperature
#include "api/handlers.h"
#include "api/reading.h"

enum MHD_Result temperature_get(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    struct snapshot *s = reading_snapshot(q->api, &run);
    struct body *body = s ? reading_body(q->api, s) : NULL;
    if (body) {
        rc = answer_body(q, body);
        body_unref(body);
    } else if (s) {
        rc = answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the reading is too large");
    } else {
        rc = answer_store_problem(q);
    }
    snapshot_unref(s);
    found_release(&run);
    return rc;
}
