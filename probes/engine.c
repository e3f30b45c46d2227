#include "probes/engine.h"

#include "base/num.h"
#include "probes/ewma.h"

#include <math.h>

#define TOLERANCE 0.01 // of a work efficiency, and of a linearity, of 1

void engine_clear(struct engine *e) {
    e->out2 = e->in2 = num_missing();
    e->in_mean = e->out_mean = e->active = e->saturated = NAN;
}

// In single precision: half the state, and 1e-6 is finer than any activation's mean is known.
static void follow(float *mean, double x) {
    if (!isnan(x)) {
        double m = (double)*mean;
        *mean = (float)(isnan(m) ? x : m + EWMA_ALPHA * (x - m));
    }
}

void engine_observe(struct engine *e, const struct sample *s) {
    if (!isnan(s->out2) && !isnan(s->in2)) {
        struct ewma_pair pair = {e->out2, e->in2};
        ewma_pair_add(&pair, EWMA_ALPHA, s->out2, s->in2);
        e->out2 = pair.num;
        e->in2 = pair.den;
        follow(&e->in_mean, s->in_mean);
        follow(&e->out_mean, s->out_mean);
    }
    follow(&e->active, s->active);
    follow(&e->saturated, s->saturated);
}

static struct engine_figure none(const char *reason) {
    return (struct engine_figure){num_missing(), reason};
}

static struct engine_figure value(double x) {
    return isfinite(x) ? (struct engine_figure){x, NULL} : none("undefined");
}

static const char needs_activations[] = "needs z_mean, z_var, a_mean and a_var";

static void read_moments(const struct engine *e, struct engine_reading *r) {
    if (isnan(e->in2)) {
        r->in_mean = r->in_variance = r->in_energy = none(needs_activations);
        r->out_mean = r->out_variance = r->out_energy = none(needs_activations);
        r->dissipated = r->efficiency = r->entropy_change_normal = none(needs_activations);
        return;
    }
    double in_mean = (double)e->in_mean, out_mean = (double)e->out_mean;
    double in_variance = fmax(e->in2 - in_mean * in_mean, 0);
    double out_variance = fmax(e->out2 - out_mean * out_mean, 0);
    r->in_mean = value(in_mean);
    r->out_mean = value(out_mean);
    r->in_energy = value(e->in2);
    r->out_energy = value(e->out2);
    r->in_variance = value(in_variance);
    r->out_variance = value(out_variance);
    r->dissipated = value(e->in2 - e->out2);
    r->efficiency =
        e->in2 > 0 ? value(e->out2 / e->in2) : none("undefined: the activation's input is zero");
    r->entropy_change_normal = in_variance > 0 && out_variance > 0
                                   ? value(log(out_variance / in_variance) / 2)
                                   : none("undefined: the input or the output does not vary");
}

static void no_reference(struct engine_reading *r, const char *reason) {
    r->reference = r->chi = r->linearity = r->entropy_change = none(reason);
}

static void read_reference(const struct activation *a, struct engine_reading *r) {
    struct activation_transfer t;
    if (!activation_transfer(a, r->in_mean.value, r->in_variance.value, &t)) {
        no_reference(r, "undefined: the activation's input hardly varies");
        return;
    }
    r->reference = value(t.efficiency);
    r->chi = value(t.chi);
    r->linearity = value(t.linearity);
    r->entropy_change = t.no_entropy ? none(t.no_entropy) : value(t.entropy);
}

// A layer without activation hands on its output by definition, measured or not.
static void read_identity(struct engine_reading *r) {
    r->reference = r->chi = r->linearity = value(1);
    r->entropy_change = value(0);
}

static void read_dead(const struct engine *e, const struct activation *a,
                      const struct activation_idle *reference, struct engine_reading *r) {
    double active = (double)e->active;
    if (a && !activation_can_die(a)) {
        r->dead = r->dead_reference =
            none("none: only an activation that gives nothing can be dead");
        return;
    }
    r->dead = !a              ? none("needs the activation's name")
              : isnan(active) ? none("needs a_active")
                              : value(1 - active);
    r->dead_reference =
        reference ? value(reference->dead) : none("needs a known activation and its input");
}

static void read_saturated(const struct engine *e, const struct activation *a,
                           const struct activation_idle *reference, struct engine_reading *r) {
    double saturated = (double)e->saturated;
    if (a && !activation_can_saturate(a)) {
        r->saturated = r->saturated_reference =
            none("none: the activation has no bounds to come close to");
        return;
    }
    r->saturated = isnan(saturated) ? none("needs a_saturated") : value(saturated);
    r->saturated_reference =
        reference ? value(reference->saturated) : none("needs a known activation and its input");
}

static void read_shares(const struct engine *e, const struct activation *a,
                        struct engine_reading *r) {
    struct activation_idle idle;
    bool known = a && !r->in_energy.reason &&
                 activation_idle(a, r->in_mean.value, r->in_variance.value, &idle);
    read_dead(e, a, known ? &idle : NULL, r);
    read_saturated(e, a, known ? &idle : NULL, r);
}

static bool is_one(const struct engine_figure *f) {
    return fabs(f->value - 1) <= TOLERANCE;
}

static void classify(struct engine_reading *r, const struct activation *a) {
    bool identity = a && activation_is_identity(a);
    if (r->efficiency.reason) {
        r->class = identity ? ENGINE_LOSSLESS : ENGINE_UNKNOWN;
        r->no_class = identity ? NULL : r->efficiency.reason;
        return;
    }
    bool straight = r->linearity.reason || is_one(&r->linearity);
    r->class = is_one(&r->efficiency) && straight ? ENGINE_LOSSLESS : ENGINE_DISSIPATIVE;
}

void engine_read(const struct engine *e, const struct activation *a, bool named,
                 struct engine_reading *r) {
    *r = (struct engine_reading){0};
    read_moments(e, r);
    if (a && activation_is_identity(a)) {
        read_identity(r);
    } else if (!a) {
        no_reference(r, named ? "no reference is known for an activation of this name"
                              : "needs the activation's name");
    } else if (r->in_energy.reason) {
        no_reference(r, needs_activations);
    } else {
        read_reference(a, r);
    }
    r->ratio = r->efficiency.reason     ? r->efficiency
               : r->reference.reason    ? none(r->reference.reason)
               : r->reference.value > 0 ? value(r->efficiency.value / r->reference.value)
                                        : none("undefined: the reference is zero");
    read_shares(e, a, r);
    classify(r, a);
}

const char *engine_class_name(enum engine_class class) {
    static const char *const names[] = {NULL, "lossless", "dissipative"};
    return names[class];
}

enum engine_class engine_class_join(enum engine_class network, enum engine_class layer) {
    if (network == ENGINE_DISSIPATIVE || layer == ENGINE_DISSIPATIVE) {
        return ENGINE_DISSIPATIVE;
    }
    return network == layer ? layer : ENGINE_UNKNOWN;
}
