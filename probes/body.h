// What is kept of one layer, or of the whole run as one more body: everything its instruments read.
//
// Flat memory without pointers, about a kibibyte, no allocation: saving is copying.
#ifndef PROBES_BODY_H
#define PROBES_BODY_H

#include "probes/calorimeter.h"
#include "probes/course.h"
#include "probes/ewma.h"
#include "probes/ledger.h"
#include "probes/neumaier.h"
#include "probes/sample.h"

#define BODY_FROZEN_STEPS 20  // steps without gradient and update until a layer counts as frozen
#define BODY_DIVERGED_STEPS 3 // non-finite steps in a row until a body counts as diverged

struct body {
    struct ledger ledger;
    struct ewma_pair lag;    // the columns of the same name, with exponential forgetting
    double lag_scatter;      // mean square of its distance from the window's, see coherence.h
    struct ewma_cross scale; // noise and signal of the gradient (gradient_noise.h)
    struct neumaier work;    // sum of g.dw of the steps that led to the newest state
    double work_noise;       // variance of that sum
    double gu;               // g.dw of the newest step, which leads to the next state
    double weight2, update2; // of the newest step, for differences with the next
    double variance;         // of the weights, the newest; a layer's only, as the next two
    double variance_state;   // when the state began: the origin of the entropy's change
    double variance_work;    // when the work began to be summed
    float alpha;             // the spectrum's tail exponent, the newest sent
    uint32_t seen;           // bits of enum need
    uint32_t nonfinite;      // steps that were not used because something was not finite
    uint8_t lag_judged;      // how often that distance was taken, at most 255
    uint8_t nonfinite_run;   // the same, in a row
    uint8_t frozen_run;      // steps in a row without gradient and update, at most 255
    uint8_t dead_run;        // steps in a row without gradient, at most 255
    bool moved;              // there was an update, ever
};

_Static_assert(sizeof(struct body) <= 1024, "a layer's state must stay within one KiB");

// What all layers share: facts and the figures of the run itself.
struct run {
    int64_t step;                      // the newest, -1 before the first
    double segment_steps, state_steps; // seen since the segment and since the state began
    double eta, eta_prev, batch;       // of the newest step and the one before; NaN when unknown
    double dt;                         // steps from the one before to the newest; NaN at the first
    double loss, loss_start;           // newest and the state's first
    double loss_work;                  // when the work began to be summed
    double loss_noise,
        loss_noise_start;         // variance of a single loss: recent, and in the first steps
    double loss_pairs;            // differences of neighbouring losses seen in this state
    double entropy;               // change since the state began
    double entropy_size;          // parameters of the layers that have an entropy
    double alpha_low, alpha_high; // of the layers that are ranked (spectral.c), newest sent
    struct calorimeter calorimeter;
    struct course course;
    double momentum, beta1, weight_decay, lr, batch_size; // the facts
    uint32_t state;
    uint8_t optimizer;
    bool nesterov;
    bool passed;      // the newest step was one that the optimizer did not take
    uint32_t skipped; // how many of those there were
};

void body_clear(struct body *b);         // before the first step
void body_begin_segment(struct body *b); // windows and sums start anew
void body_begin_state(struct body *b);   // energy, entropy and work start anew

// Works out the row of a layer of n parameters. False, and the row is void, when it is not finite.
bool body_measure(const struct body *b, const struct run *run, double n, const struct sample *s,
                  double row[ROW_COUNT]);
enum ledger_event body_observe(struct body *b, const struct run *run, double n,
                               const struct sample *s, const double row[ROW_COUNT]);
// A step that could not be used.
void body_skip(struct body *b, bool weights_finite);
// A step that the optimizer did not take: nothing is taken from it, nor across it.
void body_pass(struct body *b);

// The sum of g.dw up to the newest state, and whether any of it is known.
bool body_works(const struct body *b);
double body_work(const struct body *b);
bool body_is_frozen(const struct body *b);
// No gradient for as long, though weight decay or momentum may still move it.
bool body_is_dead(const struct body *b);

#endif
