// The temperature of a linear model's transition from its initialisation to its best fit
// (theory 1.4), computed from the data alone: what a training run of that model can be held
// against.
//
// T = (E_I - E_II) / (S_I - S_II): E_I the loss averaged over the initialisation, E_II the least
// loss, S_I and S_II the entropies of the parameters before and after. All closed forms and
// conventions are this project's derivations [D], not those of arXiv:2404.13218, which could not be
// read in full.
#ifndef PROBES_REFERENCE_H
#define PROBES_REFERENCE_H

#include "probes/linear_model.h"
#include "probes/reference_init.h"

#include <stdbool.h>
#include <stddef.h>

enum reference_loss { REFERENCE_MSE, REFERENCE_MAE, REFERENCE_CROSS_ENTROPY };

// A trained point has no finite differential entropy of its own; one of these says what stands in.
enum reference_entropy {
    REFERENCE_SAMPLING, // that of the estimate when the data are drawn again
    REFERENCE_QUANTUM,  // 0: the point is one cell of side epsilon; S_I counts such cells
    REFERENCE_LAYER     // both states: that of a normal distribution with the weights' variance
};

struct reference_problem {
    enum reference_loss loss;
    enum reference_entropy entropy;
    double epsilon; // of REFERENCE_QUANTUM, above 0
    struct reference_init init;
    // Mean losses over the rows. Cross-entropy: y from 0 to 1, the chance of the class with z > 0.
    struct linear_data data;
};

struct reference_figure {
    double value;       // num_missing() when there is a reason
    const char *reason; // NULL, or why there is no value; a static string
    const char *unit;
    const char *source; // how it came about and where that is from; a static string
};

struct reference_result {
    struct reference_figure energy[2];  // states I and II
    struct reference_figure entropy[2]; // states I and II
    struct reference_figure temperature;
    struct reference_figure
        asymptotic;        // 2 (E_I - E_II) / (d ln N): the leading order for many rows
    struct linear_fit fit; // of state II
    const char *note;      // NULL, or what is peculiar; a static string
};

const char *reference_loss_name(enum reference_loss loss);
const char *reference_entropy_name(enum reference_entropy entropy);
// What the convention says, in one sentence.
const char *reference_entropy_words(enum reference_entropy entropy);

// False with *error for data or an initialisation that cannot be computed with (checked: sizes,
// finite numbers below 1e100, y of cross-entropy, dependent columns). Else every figure has a value
// or a reason.
bool reference_solve(const struct reference_problem *problem, struct reference_result *out,
                     struct linear_error *error);

// E_I alone, for parameters drawn independently, with any means: exact for MSE; MAE and
// cross-entropy to a relative error of 1e-9. MAE of all normal parameters is closed; else one
// integral a row.
double reference_initial_energy(const struct reference_problem *problem);

#endif
