#include "runs/snapshot.h"

#include "base/memory.h"
#include "base/num.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t versions;

static char *copy(const char *text) {
    return must_copy(text ? text : "");
}

// The names lie behind the pointers to them: one piece.
static char **copy_names(const struct hello *h) {
    size_t bytes = h->n_layers * sizeof(char *);
    for (size_t i = 0; i < h->n_layers; i++) {
        bytes += strlen(h->layers[i].name) + 1;
    }
    char **names = must_alloc(bytes), *to = (char *)(names + h->n_layers);
    for (size_t i = 0; i < h->n_layers; i++) {
        names[i] = to;
        to = stpcpy(to, h->layers[i].name) + 1;
    }
    return names;
}

static void take_engines(struct snapshot *s, const struct run *r) {
    s->engines = must_alloc(s->n_layers * sizeof *s->engines);
    s->activations = must_alloc(s->n_layers * sizeof *s->activations);
    s->named = must_alloc(s->n_layers * sizeof *s->named);
    s->heat = must_alloc(s->n_layers * sizeof *s->heat);
    for (size_t i = 0; i < s->n_layers; i++) {
        s->engines[i] = *thermo_engine(r->thermo, i);
        s->activations[i] = r->activations[i];
        s->named[i] = *r->hello.layers[i].activation != '\0';
        s->heat[i] = balance_heat(&r->balance, r->thermo, i);
    }
    s->balance = balance_read(&r->balance, r->thermo);
}

static void take_extremes(struct snapshot *s, const struct readings *r) {
    size_t bytes = READINGS_STEPWISE * r->n_bodies * sizeof *s->low;
    s->low = must_alloc(bytes);
    s->high = must_alloc(bytes);
    memcpy(s->low, r->low, bytes);
    memcpy(s->high, r->high, bytes);
}

void snapshot_extremes(const struct snapshot *s, enum metric m, size_t layer, double *low,
                       double *high) {
    *low = *high = num_missing();
    for (size_t i = 0; i < READINGS_STEPWISE; i++) {
        if (readings_stepwise[i] == m) {
            *low = s->low[i * (s->n_layers + 1) + layer];
            *high = s->high[i * (s->n_layers + 1) + layer];
        }
    }
}

struct engine_reading snapshot_engine(const struct snapshot *s, size_t layer) {
    struct engine_reading reading;
    engine_read(&s->engines[layer], s->activations[layer], s->named[layer], &reading);
    return reading;
}

struct snapshot *snapshot_create(const struct run *r) {
    struct snapshot *s = NEW(struct snapshot);
    atomic_init(&s->refs, 1);
    s->version = atomic_fetch_add(&versions, 1) + 1;
    s->record = r->record;
    s->record.name = copy(r->record.name);
    s->record.project = copy(r->record.project);
    s->record.facts = copy(r->record.facts);
    s->attempt = r->attempt;
    s->step = stepset_last(&r->steps);
    s->time = r->time;
    s->state = thermo_state(r->thermo);
    s->n_layers = r->hello.n_layers;
    s->layer_names = copy_names(&r->hello);
    reading_table_init(&s->layers, s->n_layers);
    thermo_read(r->thermo, THERMO_GLOBAL, s->global);
    for (size_t i = 0; i < s->n_layers; i++) {
        struct reading readings[METRIC_COUNT];
        thermo_read(r->thermo, i, readings);
        reading_table_put(&s->layers, i, readings);
    }
    take_engines(s, r);
    take_extremes(s, &r->readings);
    s->outputs.windows = r->outputs.windows;
    s->outputs.step = r->outputs.step;
    s->outputs.n_counts = r->outputs.n_counts;
    s->outputs.entropy = r->outputs.entropy;
    s->outputs.total_variation = r->outputs.total_variation;
    s->outputs.jensen_shannon = r->outputs.jensen_shannon;
    return s;
}

struct snapshot *snapshot_ref(struct snapshot *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot *s) {
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        free(s->layer_names);
        reading_table_free(&s->layers);
        free(s->low);
        free(s->high);
        free(s->engines);
        free(s->activations);
        free(s->named);
        free(s->heat);
        for (size_t i = 0; i < SNAPSHOT_ATTACHMENTS; i++) {
            void *attached = snapshot_attached(s, i);
            if (attached) {
                s->free_attached(attached);
            }
        }
        run_record_free(&s->record);
        free(s);
    }
}

void *snapshot_attached(struct snapshot *s, size_t place) {
    return atomic_load_explicit(&s->attached[place], memory_order_acquire);
}

void *snapshot_attach(struct snapshot *s, size_t place, void *thing, void (*free_it)(void *)) {
    void *before = NULL;
    s->free_attached = free_it;
    if (atomic_compare_exchange_strong(&s->attached[place], &before, thing)) {
        return thing;
    }
    free_it(thing);
    return before;
}
