// GET /api/v1/runs/{run}/states: the run as a course of states (theory 1.1, 1.3).
//
// State I begins with the initialisation, a state II with each data_refresh. Within a state the job
// trains: the weights move on fixed data, so that the energy changes by heat. A refresh moves the
// levels under fixed weights: what the loss jumps by from the last step before to the first step
// behind is work. Reading the paper's heat and work so is ours ([D]).
#include "api/handlers.h"
#include "api/initial.h"
#include "api/reading.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/num.h"
#include "config/limits.h"
#include "probes/metric.h"
#include "runs/history.h"

#include <inttypes.h>
#include <stdlib.h>

#define STATES_MAX 10000
#define STATES_BYTES_MAX (64u << 20)

struct state {
    unsigned number;
    int64_t from, to;                     // steps; -1 while it has none
    double energy_start, energy_end;      // the losses there
    double entropy_start, entropy_end;    // nats
    double heat;                          // sum of -g.dw over all layers; missing when unknown
    struct reading temperature, quadrant; // of the transition from its start to its end
};

struct course {
    struct api *api;
    uint64_t deadline_ns, visited;
    struct state *states;
    size_t n;
    const struct thermo *thermo; // at the newest step
    bool truncated, late;
    struct beginning beginning;
};

// Looks at the clock, and whether the daemon stops, every so many steps.
static bool has_time(void *context) {
    struct course *c = context;
    c->late = c->late || ((++c->visited & 63) == 0 &&
                          !(api_progress(c->api) && clock_monotonic_ns() < c->deadline_ns));
    return !c->late;
}

static double heat_of(const struct thermo *t) {
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < thermo_layers(t); i++) {
        double heat = thermo_value(t, i, METRIC_HEAT);
        if (!num_is_missing(heat)) {
            sum += heat;
            known++;
        }
    }
    return known ? sum : num_missing();
}

// What only the end of a state can tell.
static void close_state(void *context, const struct thermo *t) {
    struct course *c = context;
    struct state *s = c->n ? &c->states[c->n - 1] : NULL;
    if (!s || s->number != thermo_state(t)) {
        return; // the refresh came before the state had a step
    }
    struct reading readings[METRIC_COUNT];
    thermo_read(t, THERMO_GLOBAL, readings);
    s->temperature = readings[METRIC_TRANSITION];
    s->quadrant = readings[METRIC_QUADRANT];
    s->entropy_end = thermo_value(t, THERMO_GLOBAL, METRIC_ENTROPY);
    s->heat = heat_of(t);
}

static struct state *begin_state(struct course *c, const struct step *step,
                                 const struct thermo *t) {
    if (c->n == STATES_MAX) {
        c->truncated = true;
        return NULL;
    }
    if ((c->n & (c->n - 1)) == 0) {
        c->states = must_grow(c->states, (c->n ? 2 * c->n : 1) * sizeof *c->states);
    }
    struct state *s = &c->states[c->n++];
    *s = (struct state){.number = thermo_state(t),
                        .from = step->step,
                        .energy_start = step->loss,
                        .entropy_start = thermo_value(t, THERMO_GLOBAL, METRIC_ENTROPY)};
    return s;
}

// 0, 1 when it took too long, -1 for an error of the store.
static int follow(struct course *c, struct history *h) {
    const struct step *step;
    const struct thermo *t;
    int rc;
    c->deadline_ns = request_deadline_ns();
    history_while(h, has_time, c);
    history_on_refresh(h, close_state, c);
    while ((rc = history_next(h, &step, &t)) == 1) {
        struct state *s = c->n ? &c->states[c->n - 1] : NULL;
        if (!s || s->number != thermo_state(t)) {
            if (!s && thermo_state(t) == 0) {
                beginning_take(&c->beginning, history_hello(h), step);
            }
            s = begin_state(c, step, t);
        }
        if (!s) {
            break;
        }
        s->to = step->step;
        s->energy_end = step->loss;
        c->thermo = t;
    }
    if (rc >= 0 && c->thermo) {
        close_state(c, c->thermo);
    }
    return rc < 0 ? -1 : c->late ? 1 : 0;
}

static void emit_change(struct emit *e, const char *key, double start, double end) {
    emit_object(e, key);
    emit_number(e, "start", start);
    emit_number(e, "end", end);
    emit_number(e, "change",
                num_is_missing(start) || num_is_missing(end) ? num_missing() : end - start);
    emit_end(e);
}

static void emit_state(struct emit *e, const struct state *s) {
    emit_object(e, NULL);
    emit_text(e, "state", s->number == 0 ? "I" : "II");
    emit_integer(e, "number", s->number);
    emit_text(e, "transition", "training");
    emit_integer(e, "from", s->from);
    emit_integer(e, "to", s->to);
    emit_change(e, "energy", s->energy_start, s->energy_end);
    emit_change(e, "entropy", s->entropy_start, s->entropy_end);
    reading_emit_value(e, "temperature", &s->temperature);
    emit_text(e, "quadrant",
              s->quadrant.reason ? NULL : quadrant_name((enum quadrant)s->quadrant.value));
    emit_number(e, "heat", s->heat);
    emit_number(e, "work", 0);
    emit_end(e);
}

static void emit_refresh(struct emit *e, const struct state *before, const struct state *after) {
    emit_object(e, NULL);
    emit_text(e, "transition", "refresh");
    emit_integer(e, "from", before->to);
    emit_integer(e, "to", after->from);
    emit_change(e, "energy", before->energy_end, after->energy_start);
    emit_change(e, "entropy", before->entropy_end, after->entropy_start);
    emit_number(e, "heat", 0);
    emit_number(e, "work",
                num_is_missing(before->energy_end) || num_is_missing(after->energy_start)
                    ? num_missing()
                    : after->energy_start - before->energy_end);
    emit_end(e);
}

static void print_course(const struct course *c, const char *run, struct buf *out) {
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_text(&e, "run", run);
    emit_array(&e, "states");
    for (size_t i = 0; i < c->n; i++) {
        emit_state(&e, &c->states[i]);
    }
    emit_end(&e);
    emit_array(&e, "refreshes");
    for (size_t i = 1; i < c->n; i++) {
        emit_refresh(&e, &c->states[i - 1], &c->states[i]);
    }
    emit_end(&e);
    beginning_emit(&e, &c->beginning);
    emit_bool(&e, "truncated", c->truncated);
    emit_end(&e);
}

static enum MHD_Result answer_course(struct request *q, const struct found *run) {
    struct reader *reader = q->reader;
    struct course c = {.api = q->api};
    struct history *h = NULL;
    int rc = -1;
    if (reader_begin(reader) == 0) {
        struct run_record stored;
        int found = reader_find_run(reader, run->record->name, &stored);
        rc = found < 0 ? -1 : 0;
        if (found == 1) {
            rc = history_open(&h, reader, &stored, 0, STEP_MAX, true);
            rc = rc ? rc : follow(&c, h);
            run_record_free(&stored);
        }
        history_close(h);
        reader_end(reader);
    }
    enum MHD_Result result;
    if (rc < 0) {
        result = answer_store_problem(q);
    } else if (rc > 0) {
        result = answer_problem(q, MHD_HTTP_SERVICE_UNAVAILABLE,
                                "the run is too long to be followed in %d s",
                                LIMIT_HTTP_REQUEST_S);
    } else {
        struct buf json;
        buf_init(&json, STATES_BYTES_MAX);
        print_course(&c, run->record->name, &json);
        result = answer_json(q, &json);
    }
    free(c.states);
    beginning_free(&c.beginning);
    return result;
}

enum MHD_Result states_get(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (find_run(q, &run, &rc)) {
        rc = answer_course(q, &run);
        found_release(&run);
    }
    return rc;
}
