// How a run's layers began beside what its hello says of it: `initialisation` of the states'
// answer.
#ifndef API_INITIAL_H
#define API_INITIAL_H

#include "api/emit.h"
#include "probes/initial.h"
#include "wire/hello.h"
#include "wire/step.h"

// Owns its memory; zero it first.
struct beginning {
    size_t n;
    char **names;
    struct initial *layers;
};

void beginning_take(struct beginning *b, const struct hello *hello, const struct step *step);
void beginning_emit(struct emit *e, const struct beginning *b);
void beginning_free(struct beginning *b);

#endif
