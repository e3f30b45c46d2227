// The energy balance sheet of a run, as of a heat engine (theory.md, this project's definitions):
// what came in, what each layer dissipated, what was kept. Loss units.
//
// In: the loss at the beginning, and what refreshes of the data added to it as work. Dissipated:
// each layer's heat, -sum g.dw, over all states. Kept: what of the energy that came in is gone for
// good, in less the present loss. Heat is more than that: the rest was taken from the batches seen
// and came back on the next ones.
//
// It begins anew with a segment, as heat does. One thread.
#ifndef PROBES_BALANCE_H
#define PROBES_BALANCE_H

#include "base/buf.h"
#include "probes/thermo.h"

struct balance {
    int64_t since;        // the first step with a loss, -1 before
    double first, newest; // finite losses
    double work;
    uint32_t refreshes;
    bool refreshed; // the next loss is the first behind a refresh
    double *heat;   // of each layer, in the states before the present one; NULL in the first state
};

struct balance_sheet {
    int64_t since; // -1: there is nothing yet; all else is then missing
    uint32_t refreshes;
    double start, work, in, energy, kept;
    double heat;                 // num_missing() when no layer's is known
    size_t unknown;              // layers whose heat is not known
    double kept_share, returned; // kept / heat, heat - kept
};

void balance_begin(struct balance *b);
void balance_free(struct balance *b);
// With each step; a loss that is missing or not finite changes nothing.
void balance_observe(struct balance *b, int64_t step, double loss);
// Before thermo_begin_state().
void balance_refresh(struct balance *b, const struct thermo *t);

// The layer's heat over all states; num_missing() when it is not known.
double balance_heat(const struct balance *b, const struct thermo *t, size_t layer);
struct balance_sheet balance_read(const struct balance *b, const struct thermo *t);

void balance_save(const struct balance *b, size_t n_layers, struct buf *out);
// How many bytes were taken, 0 when they are no balance of so many layers; *b is then untouched.
size_t balance_load(struct balance *b, size_t n_layers, const void *bytes, size_t size);

#endif
