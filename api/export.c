// GET /api/v1/runs/{run}/export: all attempts in order, as the job sent them.
//
// Nothing is built in memory: a worker makes one batch after the other while the connection is
// suspended, each within a read transaction of its own that ends before the batch is sent, so that
// a slow client holds no part of the write-ahead log and no thread.
#include "api/emit.h"
#include "api/find.h"
#include "api/gzip.h"
#include "api/handlers.h"
#include "runs/walk.h"
#include "wire/hello.h"
#include "wire/json.h"

#include <stddef.h>
#include <string.h>

// A batch ends with the step that passes its share of the memory that all exports may take.
#define BATCHES_BYTES ((size_t)1 << 24)
#define BATCH_BYTES_LEAST ((size_t)1 << 15)
#define BATCH_BYTES_MOST ((size_t)1 << 18)
#define BATCH_BYTES_MAX ((size_t)1 << 30)

struct export {
    struct api *api;
    struct MHD_Connection *connection;
    struct work work;
    struct reader *reader; // the worker's, while it makes a batch
    char *run;
    int64_t id;
    struct buf batch;
    size_t enough;     // bytes of a batch
    struct gzip *gzip; // NULL: not compressed
    struct buf compressed;
    struct buf *out; // what is being sent: one of these
    size_t sent;
    bool done, failed, finished; // finished: the compressor has given its last
    // Where the next batch begins: behind this step of this attempt, and behind so many events and
    // histograms of outputs.
    int64_t attempt, step, events, outputs;
    char *facts; // of the attempt before
};

static void print_event(const struct event_record *event, struct buf *out) {
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_text(&e, "type", "event");
    if (event->step >= 0) {
        emit_integer(&e, "step", event->step);
    }
    if (event->time > 0) {
        emit_number(&e, "time", event->time);
    }
    emit_text(&e, "name", event->name);
    if (event->data) {
        emit_raw(&e, "data", event->data, strlen(event->data));
    }
    emit_end(&e);
    buf_putc(out, '\n');
}

static void print_end(enum run_status status, struct buf *out) {
    buf_printf(out, "{\"type\":\"end\",\"status\":\"%s\"}\n", run_status_name(status));
}

// Other layers without a rewind are only taken from a run that has ended.
static bool needs_end(const char *before, const char *after) {
    struct hello a, b;
    struct wire_error error;
    if (!before || hello_parse(&a, before, strlen(before), &error)) {
        return false;
    }
    bool differ = !hello_parse(&b, after, strlen(after), &error) && !hello_same_layers(&a, &b);
    hello_free(&a);
    hello_free(&b);
    return differ;
}

static void print_attempt(struct export *x, const struct attempt_record *a) {
    if (!a->is_rewind && needs_end(x->facts, a->facts)) {
        print_end(RUN_STOPPED, &x->batch);
    }
    hello_print(a->facts, a->is_rewind ? a->rewind_step : HELLO_NO_REWIND, &x->batch);
    free(x->facts);
    x->facts = must_copy(a->facts);
    x->attempt = a->id;
    x->step = -1;
}

// False when the batch is full: the item belongs into the next.
static bool print_item(struct export *x, const struct walk *w, enum walk_item item) {
    bool is_full = x->batch.len >= x->enough;
    if (item == WALK_EVENT) {
        // What the daemon found itself it finds again.
        if (!walk_event(w)->derived) {
            print_event(walk_event(w), &x->batch);
        }
        x->events++;
        return true;
    }
    if (item == WALK_OUTPUTS) {
        buf_puts(&x->batch, walk_outputs(w)->line);
        buf_putc(&x->batch, '\n');
        x->outputs++;
        return true;
    }
    if (item == WALK_ATTEMPT) {
        if (!is_full) {
            print_attempt(x, walk_attempt(w));
        }
        return !is_full;
    }
    const struct step *step = walk_step(w);
    // What came with one step stays together, since the next batch begins behind a step.
    if (is_full && step->step > x->step) {
        return false;
    }
    step_print(step, item == WALK_STEP ? "step" : "scalars", &x->batch);
    x->step = step->step;
    return true;
}

static bool print_last(struct export *x) {
    struct run_record run;
    int found = reader_find_run(x->reader, x->run, &run);
    if (found != 1) {
        // A live run whose hello is not on disk yet has nothing to export; one that was there is
        // gone.
        x->done = true;
        return found == 0 && x->attempt == 0;
    }
    bool same = run.id == x->id;
    if (same && run_status_is_end(run.progress.status)) {
        print_end(run.progress.status, &x->batch);
    }
    run_record_free(&run);
    x->done = true;
    return same;
}

static bool walk_batch(struct export *x) {
    struct walk_options options = {.after_attempt = x->attempt,
                                   .after_step = x->step,
                                   .skip_events = x->events,
                                   .skip_outputs = x->outputs,
                                   .outputs = true,
                                   .scalars = true};
    struct walk *w;
    if (walk_open(&w, x->reader, x->id, &options)) {
        return false;
    }
    enum walk_item item;
    while ((item = walk_next(w)) > WALK_END && print_item(x, w, item)) {
    }
    walk_close(w);
    return item != WALK_ERROR && (item != WALK_END || print_last(x));
}

// Fills the next batch. False for an error of the store, or a run that was forgotten meanwhile.
static bool fill(struct export *x) {
    size_t share = BATCHES_BYTES / x->api->exports;
    x->enough = share < BATCH_BYTES_LEAST  ? BATCH_BYTES_LEAST
                : share > BATCH_BYTES_MOST ? BATCH_BYTES_MOST
                                           : share;
    buf_clear(&x->batch);
    if (reader_begin(x->reader)) {
        return false;
    }
    bool good = walk_batch(x);
    reader_end(x->reader);
    return good && !x->batch.failed;
}

// What is to be sent next into x->out, which stays empty at the end only.
static bool prepare(struct export *x) {
    x->sent = 0;
    buf_clear(x->out);
    while (x->out->len == 0 && !x->finished) {
        if (!x->done && (!fill(x) || !api_progress(x->api))) {
            return false;
        }
        x->finished = x->done;
        if (x->gzip &&
            !gzip_add(x->gzip, buf_str(&x->batch), x->batch.len, x->done, &x->compressed)) {
            return false;
        }
    }
    return true;
}

static void run_fill(struct work *work, struct reader *reader) {
    struct export *x = (struct export *)((char *)work - offsetof(struct export, work));
    struct MHD_Connection *connection = x->connection;
    x->reader = reader;
    x->failed = !prepare(x);
    MHD_resume_connection(connection); // x is the HTTP thread's again
}

// Has a worker make the next batch; the content reader is asked again when it is there.
static ssize_t wait_for_batch(struct export *x) {
    x->work = (struct work){.is_long = true, .run = run_fill};
    MHD_suspend_connection(x->connection);
    if (!workers_add(x->api->workers, &x->work)) {
        MHD_resume_connection(x->connection);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return 0;
}

static ssize_t read_export(void *context, uint64_t position, char *to, size_t max) {
    (void)position;
    struct export *x = context;
    if (x->failed) {
        return MHD_CONTENT_READER_END_WITH_ERROR; // the client sees that it is not whole
    }
    if (x->sent == x->out->len) {
        return x->finished ? MHD_CONTENT_READER_END_OF_STREAM : wait_for_batch(x);
    }
    size_t n = x->out->len - x->sent < max ? x->out->len - x->sent : max;
    memcpy(to, x->out->data + x->sent, n);
    x->sent += n;
    return (ssize_t)n;
}

static void free_export(void *context) {
    struct export *x = context;
    x->api->exports--;
    buf_free(&x->batch);
    buf_free(&x->compressed);
    gzip_destroy(x->gzip);
    free(x->run);
    free(x->facts);
    free(x);
}

static struct export *create(struct request *q, const struct run_record *run) {
    struct export *x = NEW(struct export);
    x->api = q->api;
    x->api->exports++;
    x->connection = q->connection;
    x->run = must_copy(run->name);
    x->id = run->id;
    x->step = -1;
    buf_init(&x->batch, BATCH_BYTES_MAX);
    buf_init(&x->compressed, BATCH_BYTES_MAX);
    x->gzip = request_takes_gzip(q) ? gzip_create() : NULL;
    x->out = x->gzip ? &x->compressed : &x->batch;
    return x;
}

enum MHD_Result export_get(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    struct export *x = create(q, run.record);
    found_release(&run);
    struct MHD_Response *r;
    do {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64 * 1024, read_export, x,
                                              free_export);
    } while (!r && memory_let_go());
    CHECK(r != NULL);
    answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
    answer_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (x->gzip) {
        answer_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    }
    return answer_response(q, MHD_HTTP_OK, r);
}
