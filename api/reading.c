#include "api/reading.h"

#include "api/engine.h"
#include "api/outputs.h"
#include "base/memory.h"
#include "probes/metric.h"
#include "runs/run.h"

#include <math.h>
#include <pthread.h>

#define CACHE_SNAPSHOTS 16
#define READING_BYTES_MAX ((size_t)1 << 28)

// A small ring of what was rebuilt from the store: the oldest entry makes room.
struct reading_cache {
    pthread_mutex_t lock;
    struct {
        int64_t run, last_step, n_steps;
        double last_seen;
        struct snapshot *snapshot;
    } at[CACHE_SNAPSHOTS];
    size_t next;
};

struct reading_cache *reading_cache_create(void) {
    struct reading_cache *c = NEW(struct reading_cache);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void reading_cache_destroy(struct reading_cache *c) {
    for (size_t i = 0; i < CACHE_SNAPSHOTS; i++) {
        snapshot_unref(c->at[i].snapshot);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct snapshot *find_restored(struct reading_cache *c, const struct run_record *r) {
    const struct run_progress *p = &r->progress;
    struct snapshot *found = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < CACHE_SNAPSHOTS && !found; i++) {
        if (c->at[i].snapshot && c->at[i].run == r->id && c->at[i].last_step == p->last_step &&
            c->at[i].n_steps == p->n_steps && !(c->at[i].last_seen < p->last_seen) &&
            !(c->at[i].last_seen > p->last_seen)) {
            found = snapshot_ref(c->at[i].snapshot);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static void keep_restored(struct reading_cache *c, const struct run_record *r, struct snapshot *s) {
    pthread_mutex_lock(&c->lock);
    size_t at = c->next++ % CACHE_SNAPSHOTS;
    struct snapshot *old = c->at[at].snapshot;
    c->at[at].run = r->id;
    c->at[at].last_step = r->progress.last_step;
    c->at[at].n_steps = r->progress.n_steps;
    c->at[at].last_seen = r->progress.last_seen;
    c->at[at].snapshot = snapshot_ref(s);
    pthread_mutex_unlock(&c->lock);
    snapshot_unref(old);
}

struct snapshot *reading_snapshot(struct request *q, const struct found *found) {
    struct api *a = q->api;
    if (found->live) {
        return snapshot_ref(found->live);
    }
    struct snapshot *s = find_restored(a->readings, found->record);
    if (s) {
        return s;
    }
    struct ruleset *rules = board_rules(a->board);
    struct run *run;
    int restored = run_restore(&run, q->reader, found->record->name, rules);
    ruleset_release(rules);
    if (restored != 1) {
        return NULL;
    }
    s = snapshot_create(run);
    run_destroy(run);
    keep_restored(a->readings, found->record, s);
    return s;
}

static void release_body(void *body) {
    body_unref(body);
}

const char *const reading_details[] = {[READING_BRIEF] = "brief", [READING_FULL] = "full", NULL};

struct body *reading_body(struct snapshot *s, enum reading_detail detail) {
    CHECK(detail < SNAPSHOT_ATTACHMENTS);
    struct body *body = snapshot_attached(s, detail);
    if (!body) {
        struct buf json;
        buf_init(&json, READING_BYTES_MAX);
        struct emit e = emit_to(&json);
        reading_emit(&e, NULL, s, detail);
        if (json.failed) {
            buf_free(&json);
            return NULL;
        }
        body = snapshot_attach(s, detail, body_create(&json, TYPE_JSON, NULL), release_body);
    }
    return body_ref(body);
}

static const enum metric temperatures[] = {METRIC_TRANSITION, METRIC_DIFFERENTIAL,
                                           METRIC_KINETIC,    METRIC_CONFIGURATIONAL,
                                           METRIC_NOISE,      METRIC_VELOCITY};
static const enum metric run_numbers[] = {
    METRIC_STABILITY,    METRIC_COHERENCE,         METRIC_DRIFT,
    METRIC_EQUILIBRIUM,  METRIC_NOISE_SCALE,       METRIC_HEAT,
    METRIC_RETENTION,    METRIC_FIRST_LAW,         METRIC_ENTROPY_PRODUCTION,
    METRIC_UPDATE_RATIO, METRIC_UPDATE_EQUILIBRIUM};
static const enum metric layer_numbers[] = {
    METRIC_STABILITY,          METRIC_COHERENCE,   METRIC_DRIFT,       METRIC_UPDATE_RATIO,
    METRIC_EQUILIBRIUM,        METRIC_FREE_ENERGY, METRIC_NOISE_SCALE, METRIC_ENTROPY_PRODUCTION,
    METRIC_UPDATE_EQUILIBRIUM, METRIC_SPECTRAL};
static const enum metric brief_numbers[] = {METRIC_STABILITY, METRIC_COHERENCE, METRIC_DRIFT,
                                            METRIC_UPDATE_RATIO};
// What has no thermometer's object around it, for `intervals` and `reasons`.
static const enum metric run_plain[] = {METRIC_ENERGY,       METRIC_ENTROPY,
                                        METRIC_FREE_ENERGY,  METRIC_HEAT_CAPACITY,
                                        METRIC_QUADRANT,     METRIC_STABILITY,
                                        METRIC_COHERENCE,    METRIC_DRIFT,
                                        METRIC_EQUILIBRIUM,  METRIC_NOISE_SCALE,
                                        METRIC_HEAT,         METRIC_RETENTION,
                                        METRIC_FIRST_LAW,    METRIC_ENTROPY_PRODUCTION,
                                        METRIC_UPDATE_RATIO, METRIC_UPDATE_EQUILIBRIUM};
static const enum metric layer_plain[] = {
    METRIC_ENTROPY,     METRIC_HEAT,        METRIC_EFFICIENCY,         METRIC_STABILITY,
    METRIC_COHERENCE,   METRIC_DRIFT,       METRIC_UPDATE_RATIO,       METRIC_EQUILIBRIUM,
    METRIC_FREE_ENERGY, METRIC_NOISE_SCALE, METRIC_ENTROPY_PRODUCTION, METRIC_UPDATE_EQUILIBRIUM,
    METRIC_SPECTRAL};
static const enum metric brief_plain[] = {METRIC_ENTROPY,     METRIC_HEAT,      METRIC_EFFICIENCY,
                                          METRIC_STABILITY,   METRIC_COHERENCE, METRIC_DRIFT,
                                          METRIC_UPDATE_RATIO};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void emit_plain(struct emit *e, const struct reading r[METRIC_COUNT], enum metric m) {
    if (r[m].reason) {
        emit_null(e, metric_name(m));
    } else {
        emit_number(e, metric_name(m), r[m].value);
    }
}

static void emit_plains(struct emit *e, const struct reading r[METRIC_COUNT], const enum metric *m,
                        size_t n) {
    for (size_t i = 0; i < n; i++) {
        emit_plain(e, r, m[i]);
    }
}

void reading_emit_value(struct emit *e, const char *name, const struct reading *r) {
    emit_object(e, name);
    if (r->reason) {
        emit_null(e, "value");
        emit_text(e, "reason", r->reason);
    } else if (r->has_interval) {
        emit_number(e, "value", r->value);
        emit_low(e, "low", r->low);
        emit_high(e, "high", r->high);
    } else {
        emit_number(e, "value", r->value);
        emit_null(e, "low");
        emit_null(e, "high");
        emit_text(e, "reason", r->no_interval ? r->no_interval : "no interval is known for it");
    }
    if (r->source) {
        emit_text(e, "source", r->source);
    }
    if (r->steps > 0) {
        emit_number(e, "steps", r->steps);
    }
    emit_end(e);
}

static void emit_thermometers(struct emit *e, const struct reading r[METRIC_COUNT]) {
    for (size_t i = 0; i < COUNT(temperatures); i++) {
        reading_emit_value(e, metric_name(temperatures[i]), &r[temperatures[i]]);
    }
}

static void emit_reasons(struct emit *e, const struct reading r[METRIC_COUNT], const enum metric *m,
                         size_t n) {
    emit_object(e, "reasons");
    for (size_t i = 0; i < n; i++) {
        if (r[m[i]].reason) {
            emit_text(e, metric_name(m[i]), r[m[i]].reason);
        }
    }
    emit_end(e);
}

// Beside the plain numbers: their 95% intervals, why some are missing, from what those were read
// that may be read from several things, and what they say about the job itself.
static void emit_doubts(struct emit *e, const struct reading r[METRIC_COUNT], const enum metric *m,
                        size_t n) {
    emit_object(e, "intervals");
    for (size_t i = 0; i < n; i++) {
        if (r[m[i]].has_interval) {
            emit_array(e, metric_name(m[i]));
            emit_low(e, NULL, r[m[i]].low);
            emit_high(e, NULL, r[m[i]].high);
            emit_end(e);
        }
    }
    emit_end(e);
    emit_reasons(e, r, m, n);
    emit_object(e, "sources");
    for (size_t i = 0; i < n; i++) {
        if (r[m[i]].source) {
            emit_text(e, metric_name(m[i]), r[m[i]].source);
        }
    }
    emit_end(e);
    emit_object(e, "notes");
    for (size_t i = 0; i < n; i++) {
        if (r[m[i]].note) {
            emit_text(e, metric_name(m[i]), r[m[i]].note);
        }
    }
    emit_end(e);
}

static void emit_equilibrium_reached(struct emit *e, const struct reading *r) {
    if (r->reason) {
        emit_null(e, "equilibrium_reached");
    } else {
        emit_bool(e, "equilibrium_reached", equilibrium_is_reached(r));
    }
}

static enum engine_class emit_layer(struct emit *e, const struct snapshot *s, size_t layer,
                                    bool full) {
    struct reading r[METRIC_COUNT];
    reading_table_row(&s->layers, layer, r);
    emit_object(e, NULL);
    emit_text(e, "name", s->layer_names[layer]);
    emit_plain(e, r, METRIC_ENTROPY);
    emit_plain(e, r, METRIC_HEAT);
    emit_plain(e, r, METRIC_EFFICIENCY);
    enum engine_class class = engine_emit_short(e, s, layer, full);
    if (full) {
        emit_plains(e, r, layer_numbers, COUNT(layer_numbers));
        emit_equilibrium_reached(e, &r[METRIC_EQUILIBRIUM]);
        emit_thermometers(e, r);
        emit_doubts(e, r, layer_plain, COUNT(layer_plain));
    } else {
        emit_plains(e, r, brief_numbers, COUNT(brief_numbers));
        emit_thermometers(e, r);
        emit_reasons(e, r, brief_plain, COUNT(brief_plain));
    }
    emit_end(e);
    return class;
}

static void emit_quadrant(struct emit *e, const struct reading *r) {
    emit_text(e, "quadrant", r->reason ? NULL : quadrant_name((enum quadrant)(int)r->value));
}

void reading_emit(struct emit *e, const char *key, const struct snapshot *s,
                  enum reading_detail detail) {
    emit_object(e, key);
    emit_text(e, "run", s->record.name);
    emit_step(e, "step", s->step);
    emit_time(e, "time", s->time);
    emit_text(e, "state", s->state ? "II" : "I");
    emit_integer(e, "state_number", s->state);
    emit_plain(e, s->global, METRIC_ENERGY);
    emit_plain(e, s->global, METRIC_ENTROPY);
    emit_plain(e, s->global, METRIC_FREE_ENERGY);
    emit_plain(e, s->global, METRIC_HEAT_CAPACITY);
    emit_quadrant(e, &s->global[METRIC_QUADRANT]);
    emit_plains(e, s->global, run_numbers, COUNT(run_numbers));
    emit_equilibrium_reached(e, &s->global[METRIC_EQUILIBRIUM]);
    emit_doubts(e, s->global, run_plain, COUNT(run_plain));
    emit_object(e, "global");
    emit_thermometers(e, s->global);
    emit_end(e);
    outputs_emit(e, s);
    if (detail != READING_ALONE) {
        enum engine_class network = ENGINE_UNKNOWN;
        emit_array(e, "layers");
        for (size_t i = 0; i < s->n_layers; i++) {
            enum engine_class class = emit_layer(e, s, i, detail == READING_FULL);
            network = i ? engine_class_join(network, class) : class;
        }
        emit_end(e);
        emit_text(e, "engine", engine_class_name(network));
    }
    emit_end(e);
}
