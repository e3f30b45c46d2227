#include "runs/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t versions;

static char *copy(const char *text) {
    char *s = strdup(text ? text : "");
    CHECK(s != NULL);
    return s;
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
    s->layer_names = must_alloc(s->n_layers * sizeof *s->layer_names);
    s->layers = must_alloc(s->n_layers * sizeof *s->layers);
    thermo_read(r->thermo, THERMO_GLOBAL, s->global);
    for (size_t i = 0; i < s->n_layers; i++) {
        s->layer_names[i] = copy(r->hello.layers[i].name);
        thermo_read(r->thermo, i, s->layers[i]);
    }
    return s;
}

struct snapshot *snapshot_ref(struct snapshot *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot *s) {
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < s->n_layers; i++) {
            free(s->layer_names[i]);
        }
        free(s->layer_names);
        free(s->layers);
        run_record_free(&s->record);
        free(s);
    }
}
