// GET /api/v1/runs/{run}/engine: the layers as heat engines and the run's energy balance sheet.
#include "api/engine.h"

#include "api/handlers.h"
#include "api/reading.h"
#include "base/num.h"

#include <string.h>

#define ENGINE_BYTES_MAX ((size_t)1 << 28)

static const char source[] =
    "this project's reading of arXiv:2404.13218 [D]; the paper's own definitions of work "
    "efficiency and of its two types of heat engines could not be read";

struct named_figure {
    const char *name;
    const struct engine_figure *figure;
};

static void emit_figures(struct emit *e, const struct named_figure *f, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (f[i].figure->reason) {
            emit_null(e, f[i].name);
        } else {
            emit_number(e, f[i].name, f[i].figure->value);
        }
    }
    emit_object(e, "reasons");
    for (size_t i = 0; i < n; i++) {
        if (f[i].figure->reason) {
            emit_text(e, f[i].name, f[i].figure->reason);
        }
    }
}

#define EMIT_FIGURES(e, figures) emit_figures((e), (figures), sizeof(figures) / sizeof *(figures))

static void emit_activation(struct emit *e, const char *key, const struct snapshot *s,
                            size_t layer) {
    const struct activation *a = s->activations[layer];
    emit_text(e, key, a ? activation_name(a) : NULL);
}

enum engine_class engine_emit_short(struct emit *e, const struct snapshot *s, size_t layer,
                                    bool with_activation) {
    struct engine_reading r = snapshot_engine(s, layer);
    emit_text(e, "engine", engine_class_name(r.class));
    if (!with_activation) {
        return r.class;
    }
    emit_object(e, "activation");
    emit_activation(e, "name", s, layer);
    const struct named_figure figures[] = {
        {"reference", &r.reference},           {"ratio", &r.ratio},
        {"entropy_change", &r.entropy_change}, {"dead", &r.dead},
        {"saturated", &r.saturated},
    };
    EMIT_FIGURES(e, figures);
    emit_end(e);
    emit_end(e);
    return r.class;
}

static void emit_moments(struct emit *e, const char *key, const struct engine_figure *mean,
                         const struct engine_figure *variance, const struct engine_figure *energy) {
    emit_object(e, key);
    emit_number(e, "mean", mean->value);
    emit_number(e, "variance", variance->value);
    emit_number(e, "energy", energy->value);
    emit_end(e);
}

static void emit_layer(struct emit *e, const struct snapshot *s, size_t layer,
                       const struct engine_reading *r) {
    double heat = s->heat[layer], all = s->balance.heat;
    emit_object(e, NULL);
    emit_text(e, "name", s->layer_names[layer]);
    emit_activation(e, "activation", s, layer);
    emit_text(e, "class", engine_class_name(r->class));
    emit_number(e, "heat", heat);
    bool share = !num_is_missing(heat) && !num_is_missing(all) && all > 0;
    emit_number(e, "heat_share", share ? heat / all : num_missing());
    emit_moments(e, "input", &r->in_mean, &r->in_variance, &r->in_energy);
    emit_moments(e, "output", &r->out_mean, &r->out_variance, &r->out_energy);
    const struct named_figure figures[] = {
        {"dissipated", &r->dissipated},
        {"efficiency", &r->efficiency},
        {"reference", &r->reference},
        {"ratio", &r->ratio},
        {"chi", &r->chi},
        {"linearity", &r->linearity},
        {"entropy_change", &r->entropy_change},
        {"entropy_change_normal", &r->entropy_change_normal},
        {"dead", &r->dead},
        {"dead_reference", &r->dead_reference},
        {"saturated", &r->saturated},
        {"saturated_reference", &r->saturated_reference},
    };
    EMIT_FIGURES(e, figures);
    if (r->class == ENGINE_UNKNOWN) {
        emit_text(e, "class", r->no_class);
    }
    if (num_is_missing(heat)) {
        emit_text(e, "heat", "needs gu");
    }
    emit_end(e);
    emit_end(e);
}

static void emit_balance(struct emit *e, const struct snapshot *s) {
    const struct balance_sheet *b = &s->balance;
    const struct reading *energy = &s->global[METRIC_ENERGY];
    emit_object(e, "balance");
    emit_step(e, "since", b->since);
    emit_integer(e, "refreshes", b->refreshes);
    emit_number(e, "start", b->start);
    emit_number(e, "work", b->work);
    emit_number(e, "in", b->in);
    emit_number(e, "energy", b->energy);
    emit_number(e, "kept", b->kept);
    emit_number(e, "dissipated", b->heat);
    emit_number(e, "returned", b->returned);
    emit_number(e, "kept_share", b->kept_share);
    emit_object(e, "intervals");
    if (b->since >= 0 && !energy->reason && energy->has_interval) {
        emit_array(e, "kept");
        emit_low(e, NULL, b->in - energy->high);
        emit_high(e, NULL, b->in - energy->low);
        emit_end(e);
    }
    emit_end(e);
    emit_object(e, "reasons");
    if (b->since < 0) {
        emit_text(e, "in", "needs loss");
    }
    if (num_is_missing(b->heat)) {
        emit_text(e, "dissipated", "needs gu");
    } else if (b->unknown) {
        emit_text(e, "dissipated", "incomplete: the heat of some layers is not known");
    }
    emit_end(e);
    emit_end(e);
}

static void print_engine(const struct snapshot *s, struct buf *out) {
    enum engine_class network = ENGINE_UNKNOWN;
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_text(&e, "run", s->record.name);
    emit_step(&e, "step", s->step);
    emit_balance(&e, s);
    emit_array(&e, "layers");
    for (size_t i = 0; i < s->n_layers; i++) {
        struct engine_reading r = snapshot_engine(s, i);
        network = i ? engine_class_join(network, r.class) : r.class;
        emit_layer(&e, s, i, &r);
    }
    emit_end(&e);
    emit_text(&e, "class", engine_class_name(network));
    if (network == ENGINE_UNKNOWN) {
        emit_text(&e, "reason", "no layer is known to be dissipative, and some are not known");
    }
    emit_text(&e, "source", source);
    emit_end(&e);
}

enum MHD_Result engine_get(struct request *q) {
    struct found run;
    enum MHD_Result rc;
    if (!find_run(q, &run, &rc)) {
        return rc;
    }
    struct snapshot *s = reading_snapshot(q, &run);
    if (s) {
        struct buf json;
        buf_init(&json, ENGINE_BYTES_MAX);
        print_engine(s, &json);
        rc = answer_json(q, &json);
        snapshot_unref(s);
    } else {
        rc = answer_store_problem(q);
    }
    found_release(&run);
    return rc;
}
