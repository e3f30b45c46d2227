// How a job says its layers were initialised: `layers[].init` of the hello's facts.
#ifndef WIRE_INIT_H
#define WIRE_INIT_H

#include <stddef.h>

enum { INIT_PARTS_MAX = 8 };

enum init_draw { INIT_NORMAL, INIT_UNIFORM, INIT_CONSTANT };

struct init_part {
    enum init_draw draw;
    double share; // of a mixture, any scale
    double a, b;  // normal: mean, standard deviation; uniform: low, high; constant: value, unused
};

struct init {
    size_t n_parts;     // 0: not known
    const char *reason; // why not; a static string
    struct init_part parts[INIT_PARTS_MAX];
};

// Of the first n layers of a hello's facts (struct hello). A hello is taken whatever its `init`
// says, so what makes no sense is not known, with the reason.
void init_read(const char *facts, struct init *inits, size_t n);

#endif
