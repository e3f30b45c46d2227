// A layer as a heat engine: what its activation lets through of what it is given (theory.md, this
// project's definitions). The measured moments are kept here, exponentially weighted; what an
// activation of that name would let through of a normal input of the measured mean and variance
// is worked out when it is asked for, since that takes some 3 to 25 us a layer.
//
// Flat, without pointers: part of struct thermo's state. Copies may be read by any thread.
#ifndef PROBES_ENGINE_H
#define PROBES_ENGINE_H

#include "probes/activation.h"
#include "probes/sample.h"

struct engine {
    double out2, in2;        // mean squares behind and before the activation
    float in_mean, out_mean; // of the activation's input and output
    float active, saturated; // shares of the outputs, as sent
};

void engine_clear(struct engine *e);
// A step whose numbers are finite or missing.
void engine_observe(struct engine *e, const struct sample *s);

// Both are our reading of "two types of heat engines" (arXiv:2404.13218, abstract): lossless hands
// on what it is given (work efficiency within 1% of 1 and, where the activation is known, its
// output a straight line of its input to 1%), dissipative does not.
enum engine_class { ENGINE_UNKNOWN, ENGINE_LOSSLESS, ENGINE_DISSIPATIVE };

// A figure is num_missing() when its reason says why; reasons are static strings.
struct engine_figure {
    double value;
    const char *reason;
};

struct engine_reading {
    enum engine_class class;
    const char *no_class;
    struct engine_figure in_mean, in_variance, in_energy; // of z: mean, variance, <z^2>
    struct engine_figure out_mean, out_variance, out_energy;
    struct engine_figure dissipated; // <z^2> - <a^2>
    struct engine_figure efficiency; // <a^2> / <z^2>
    struct engine_figure reference;  // of this activation at that mean and variance, normal z
    struct engine_figure ratio;      // efficiency over reference
    struct engine_figure chi;        // <f'^2>, the same way: the gradient's power that comes back
    struct engine_figure linearity;  // R^2, the same way
    struct engine_figure entropy_change;        // <ln |f'|>, the same way: nats a unit
    struct engine_figure entropy_change_normal; // ln(var a / var z) / 2, measured: nats a unit
    struct engine_figure dead, dead_reference;  // shares, measured and of a normal z
    struct engine_figure saturated, saturated_reference;
};

// `activation` as activation_find() gave it, NULL: unknown; `named`: the hello named one at all.
void engine_read(const struct engine *e, const struct activation *activation, bool named,
                 struct engine_reading *out);

// "lossless", "dissipative", NULL.
const char *engine_class_name(enum engine_class class);
// Of the network: dissipative when one layer is, lossless when all are, else unknown.
enum engine_class engine_class_join(enum engine_class network, enum engine_class layer);

#endif
