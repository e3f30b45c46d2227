// How a model's parameters were drawn: what distribution each has, its entropy, mean, variance and
// characteristic function. Used to compare a run's entropy at step 0 with the initialisation it
// stated, and by reference.h. Pure functions.
#ifndef PROBES_REFERENCE_INIT_H
#define PROBES_REFERENCE_INIT_H

#include <stdbool.h>
#include <stddef.h>

enum { REFERENCE_PARTS_MAX = 8 };

enum reference_draw { REFERENCE_NORMAL, REFERENCE_UNIFORM, REFERENCE_CONSTANT };

struct reference_part {
    enum reference_draw draw;
    double weight; // of a mixture: its share, any scale; of blocks: how many parameters
    double a, b;   // normal: mean, standard deviation; uniform: low, high; constant: value, unused
};

// Two ways to read "mixed": every parameter is drawn from the mixture of the parts, or the first so
// many parameters are drawn from the first part, the next ones from the second, and so on. With one
// part both are the same.
enum reference_mixing { REFERENCE_MIXTURE, REFERENCE_BLOCKS };

struct reference_init {
    enum reference_mixing mixing;
    size_t count;
    struct reference_part parts[REFERENCE_PARTS_MAX];
};

// NULL when it describes a distribution (or a constant), else what is wrong with it; a static
// string.
const char *reference_init_check(const struct reference_init *init);

// The differential entropy of n parameters in nats, n times that of one: closed forms for normal
// and uniform, numerical integration (relative error below 1e-9) of a mixture's density, the sum
// over blocks, whose sizes must add up to n. False with *reason, a static string, for what has none
// (a constant).
bool reference_init_entropy(const struct reference_init *init, double n, double *entropy,
                            const char **reason);

// Of parameter `index` alone. The parts it is drawn from, with their shares (which add up to 1),
// are given out as a mixture; init as checked.
struct reference_init reference_init_of(const struct reference_init *init, size_t index);

struct reference_wave {
    double re, im;
};

// Of a mixture: mean, variance, and <exp(i t w)>.
double reference_init_mean(const struct reference_init *one);
double reference_init_variance(const struct reference_init *one);
struct reference_wave reference_init_wave(const struct reference_init *one, double t);
// An upper bound of |<exp(i s w)>| for all s >= t > 0, falling.
double reference_init_wave_bound(const struct reference_init *one, double t);
// How far w is from its mean at most (normal parts: nine standard deviations).
double reference_init_extent(const struct reference_init *one);

#endif
