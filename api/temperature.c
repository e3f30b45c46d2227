// GET /api/v1/runs/{run}/temperature
#include "api/handlers.h"
#include "api/reading.h"

const struct parameter reading_parameters[] = {
    {"detail", PARAMETER_CHOICE, 0, 0, reading_details,
     "what to tell of each layer: brief, which it is when not given, or full"},
    {0},
};

static enum MHD_Result answer_reading(struct request *q, struct snapshot *s) {
    enum reading_detail detail =
        (enum reading_detail)query_number(&q->query, "detail", READING_BRIEF);
    struct body *body = reading_body(s, detail);
    enum MHD_Result rc =
        body ? answer_body(q, body)
             : answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the reading is too large");
    body_unref(body);
    return rc;
}

static enum MHD_Result answer_found(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    struct snapshot *s = reading_snapshot(q, &run);
    rc = s ? answer_reading(q, s) : answer_store_problem(q);
    snapshot_unref(s);
    found_release(&run);
    return rc;
}

// Of a live run at once; others are in the store.
enum MHD_Result temperature_get(struct request *q) {
    struct snapshot *live = board_find(q->api->board, q->part[0]);
    if (!live) {
        return request_defer(q, answer_found, false);
    }
    enum MHD_Result rc = answer_reading(q, live);
    snapshot_unref(live);
    return rc;
}
