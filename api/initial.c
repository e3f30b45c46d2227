#include "api/initial.h"

#include "base/memory.h"
#include "base/num.h"
#include "wire/init.h"

#include <stdlib.h>

static const enum reference_draw draws[] = {
    [INIT_NORMAL] = REFERENCE_NORMAL,
    [INIT_UNIFORM] = REFERENCE_UNIFORM,
    [INIT_CONSTANT] = REFERENCE_CONSTANT,
};

static struct initial compare(const struct init *init, double n, double variance) {
    struct reference_init stated = {.mixing = REFERENCE_MIXTURE, .count = init->n_parts};
    for (size_t i = 0; i < init->n_parts; i++) {
        const struct init_part *p = &init->parts[i];
        stated.parts[i] = (struct reference_part){draws[p->draw], p->share, p->a, p->b};
    }
    struct initial out = {.reason = init->reason};
    if (!out.reason) {
        out.reason = reference_init_check(&stated);
    }
    if (!out.reason) {
        initial_compare(&stated, n, variance, &out);
    }
    return out;
}

void beginning_take(struct beginning *b, const struct hello *hello, const struct step *step) {
    const double *variances = step_stat(step, STAT_W_VAR);
    size_t n = hello->n_layers;
    struct init *inits = must_alloc((n + 1) * sizeof *inits);
    init_read(hello->facts, inits, n);
    beginning_free(b);
    b->n = n;
    b->names = must_alloc((n + 1) * sizeof *b->names);
    b->layers = must_alloc((n + 1) * sizeof *b->layers);
    for (size_t i = 0; i < n; i++) {
        b->names[i] = must_copy(hello->layers[i].name);
        b->layers[i] =
            compare(&inits[i], hello->layers[i].n, variances ? variances[i] : num_missing());
    }
    free(inits);
}

void beginning_emit(struct emit *e, const struct beginning *b) {
    emit_array(e, "initialisation");
    for (size_t i = 0; i < b->n; i++) {
        const struct initial *x = &b->layers[i];
        emit_object(e, NULL);
        emit_text(e, "layer", b->names[i]);
        if (x->reason) {
            emit_text(e, "reason", x->reason);
        } else {
            emit_number(e, "stated", x->stated);
            emit_number(e, "expected", x->expected);
            emit_number(e, "measured", x->measured);
            emit_number(e, "difference", x->measured - x->expected);
            emit_number(e, "error", x->error);
        }
        emit_end(e);
    }
    emit_end(e);
}

void beginning_free(struct beginning *b) {
    for (size_t i = 0; i < b->n; i++) {
        free(b->names[i]);
    }
    free(b->names);
    free(b->layers);
    *b = (struct beginning){0};
}
