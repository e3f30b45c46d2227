#include "api/select.h"

#include "api/outputs.h"
#include "base/memory.h"
#include "base/num.h"
#include "base/stat.h"
#include "config/limits.h"
#include "probes/metric.h"

#include <fnmatch.h>
#include <string.h>

#define SCALAR_LEAD "scalar."
#define TEMPERATURE_LEAD "temperature."
// Points of all series together: with the default of 1000 points each, as many as LIMIT_SERIES has.
#define SELECT_POINTS_MAX (10 * LIMIT_SERIES_POINTS)

static const char *const fields[] = {"loss", "lr", "loss_after", "val_loss", "batch_size"};

static bool find_field(const char *name, unsigned *id) {
    for (*id = 0; *id < sizeof fields / sizeof *fields; ++*id) {
        if (strcmp(fields[*id], name) == 0) {
            return true;
        }
    }
    return false;
}

bool select_read_metric(const char *name, struct select_metric *out) {
    enum metric m;
    *out = (struct select_metric){.name = name};
    if (find_field(name, &out->id)) {
        out->kind = SELECT_FIELD;
        return true;
    }
    if (strncmp(name, SCALAR_LEAD, strlen(SCALAR_LEAD)) == 0) {
        out->kind = SELECT_SCALAR;
        out->own = name + strlen(SCALAR_LEAD);
        return *out->own != '\0';
    }
    if (outputs_find(name, &out->id)) {
        out->kind = SELECT_OUTPUT;
        return true;
    }
    if (metric_find(name, &m) && m != METRIC_QUADRANT) {
        out->kind = SELECT_INSTRUMENT;
        out->id = m;
        return true;
    }
    out->kind = SELECT_STATISTIC;
    out->id = stat_find(name, strlen(name));
    out->own = name;
    return strlen(name) <= LIMIT_STAT_NAME &&
           strncmp(name, TEMPERATURE_LEAD, strlen(TEMPERATURE_LEAD)) != 0;
}

static void print_names(struct buf *out, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, ", %s", names[i]);
    }
}

void select_print_metrics(struct buf *out) {
    buf_puts(out, SCALAR_LEAD "NAME");
    print_names(out, fields, sizeof fields / sizeof *fields);
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (m != METRIC_QUADRANT) {
            buf_printf(out, ", %s%s", metric_is_temperature((enum metric)m) ? TEMPERATURE_LEAD : "",
                       metric_name((enum metric)m));
        }
    }
    outputs_print_metrics(out);
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        buf_printf(out, ", %s", stat_name(id));
    }
    buf_puts(out, ", and any statistic of the job's own");
}

static unsigned fail_metric(const char *name, struct buf *problem) {
    buf_printf(problem, "there is no metric \"%.160s\"; there are ", name);
    select_print_metrics(problem);
    return 400;
}

static void note_kind(struct selection *s, enum select_kind kind) {
    s->has_scalars = s->has_scalars || kind == SELECT_SCALAR;
    s->has_instruments = s->has_instruments || kind == SELECT_INSTRUMENT;
    s->has_outputs = s->has_outputs || kind == SELECT_OUTPUT;
    s->has_columns = s->has_columns || (kind != SELECT_INSTRUMENT && kind != SELECT_OUTPUT);
}

static unsigned read_metrics(struct selection *s, const struct query *q, struct buf *problem) {
    size_t at = 0;
    const char *name;
    s->metrics = must_alloc((q->n + 1) * sizeof *s->metrics);
    while ((name = query_next(q, "metric", &at))) {
        struct select_metric *m = &s->metrics[s->n_metrics++];
        if (!select_read_metric(name, m)) {
            return fail_metric(name, problem);
        }
        note_kind(s, m->kind);
    }
    if (s->n_metrics == 0) {
        buf_puts(problem, "metric is missing; expected one or several of ");
        select_print_metrics(problem);
        return 400;
    }
    return 0;
}

// Without a glob every layer is taken.
static bool is_selected(const struct query *q, const char *layer) {
    size_t at = 0;
    const char *glob = query_next(q, "layer", &at);
    if (!glob) {
        return true;
    }
    for (; glob; glob = query_next(q, "layer", &at)) {
        if (fnmatch(glob, layer, 0) == 0) {
            return true;
        }
    }
    return false;
}

// A glob that matches no layer selects none: the answer then has no series of layers.
static void read_layers(struct selection *s, const struct query *q, const struct hello *hello) {
    s->layers = must_alloc((hello->n_layers + 1) * sizeof *s->layers);
    for (size_t i = 0; i < hello->n_layers; i++) {
        if (is_selected(q, hello->layers[i].name)) {
            struct select_layer *l = &s->layers[s->n_layers++];
            *l = (struct select_layer){.name = must_copy(hello->layers[i].name), .index = i};
        }
    }
}

static bool is_layered(const struct select_metric *m, bool layer_given) {
    return m->kind == SELECT_STATISTIC || (m->kind == SELECT_INSTRUMENT && layer_given);
}

static void add_series(struct selection *s, size_t metric, size_t layer, size_t points) {
    struct select_series *one = &s->series[s->n_series++];
    one->metric = metric;
    one->layer = layer;
    buckets_init(&one->buckets, points);
}

static unsigned make_series(struct selection *s, bool layer_given, size_t points,
                            struct buf *problem) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_metrics; i++) {
        n += is_layered(&s->metrics[i], layer_given) ? s->n_layers : 1;
    }
    if (n > LIMIT_SERIES) {
        buf_printf(problem,
                   "this asks for %zu series; expected at most %d: choose fewer layers or metrics",
                   n, LIMIT_SERIES);
        return 400;
    }
    if (n * points > SELECT_POINTS_MAX) {
        buf_printf(problem,
                   "this asks for %zu series of %zu points; expected at most %d points in all", n,
                   points, SELECT_POINTS_MAX);
        return 400;
    }
    s->series = must_alloc((n + 1) * sizeof *s->series);
    for (size_t i = 0; i < s->n_metrics; i++) {
        bool layered = is_layered(&s->metrics[i], layer_given);
        for (size_t l = 0; l < (layered ? s->n_layers : 1); l++) {
            add_series(s, i, layered ? l : SIZE_MAX, points);
        }
    }
    return 0;
}

unsigned select_open(struct selection *s, const struct query *q, const struct hello *hello,
                     size_t points, struct buf *problem) {
    bool layer_given = query_text(q, "layer") != NULL;
    *s = (struct selection){.indexed = hello->layers};
    unsigned status = read_metrics(s, q, problem);
    read_layers(s, q, hello);
    return status ? status : make_series(s, layer_given, points, problem);
}

void select_add(struct selection *s, const struct select_metric *m, const char *layer,
                size_t points) {
    s->metrics = must_grow(s->metrics, (s->n_metrics + 1) * sizeof *s->metrics);
    s->series = must_grow(s->series, (s->n_series + 1) * sizeof *s->series);
    if (layer) {
        s->layers = must_grow(s->layers, (s->n_layers + 1) * sizeof *s->layers);
        s->layers[s->n_layers++] =
            (struct select_layer){.name = must_copy(layer), .index = SIZE_MAX};
    }
    s->metrics[s->n_metrics] = *m;
    note_kind(s, m->kind);
    add_series(s, s->n_metrics++, layer ? s->n_layers - 1 : SIZE_MAX, points);
}

void select_free(struct selection *s) {
    for (size_t i = 0; i < s->n_layers; i++) {
        free(s->layers[i].name);
    }
    for (size_t i = 0; i < s->n_series; i++) {
        buckets_free(&s->series[i].buckets);
    }
    free(s->metrics);
    free(s->layers);
    free(s->series);
    *s = (struct selection){0};
}

static size_t find_layer(const struct hello *hello, const char *name) {
    for (size_t i = 0; i < hello->n_layers; i++) {
        if (strcmp(hello->layers[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool indices_hold(const struct selection *s, const struct hello *hello) {
    for (size_t i = 0; i < s->n_layers; i++) {
        size_t at = s->layers[i].index;
        if (at != SIZE_MAX &&
            (at >= hello->n_layers || strcmp(hello->layers[at].name, s->layers[i].name) != 0)) {
            return false;
        }
    }
    return s->indexed == hello->layers;
}

// An earlier attempt may have had other layers, or the same at other places.
void select_index_layers(struct selection *s, const struct hello *hello) {
    if (!indices_hold(s, hello)) {
        for (size_t i = 0; i < s->n_layers; i++) {
            s->layers[i].index = find_layer(hello, s->layers[i].name);
        }
        s->indexed = hello->layers;
    }
}

static const double *find_column(const struct step *step, const struct select_metric *m) {
    if (m->id != STAT_NONE) {
        return step_stat(step, (enum statistic)m->id);
    }
    for (size_t i = 0; i < step->n_columns; i++) {
        if (step->columns[i].stat == STAT_NONE && strcmp(step->columns[i].name, m->own) == 0) {
            return step->columns[i].values;
        }
    }
    return NULL;
}

static double field_value(const struct step *step, enum select_field field) {
    switch (field) {
    case FIELD_LOSS:
        return step->loss;
    case FIELD_LR:
        return step->lr;
    case FIELD_LOSS_AFTER:
        return step->loss_after;
    case FIELD_VAL_LOSS:
        return step->val_loss;
    case FIELD_BATCH_SIZE:
        return step->batch_size;
    }
    return num_missing();
}

void select_look(struct select_metric *m, const struct step *step) {
    if (m->kind == SELECT_STATISTIC) {
        m->values = find_column(step, m);
        m->seen = m->seen || m->values;
    }
}

double select_value(const struct select_metric *m, size_t layer, const struct step *step,
                    const struct thermo *thermo) {
    switch (m->kind) {
    case SELECT_FIELD:
        return field_value(step, (enum select_field)m->id);
    case SELECT_INSTRUMENT:
        return thermo_value(thermo, layer, (enum metric)m->id);
    case SELECT_STATISTIC:
        return m->values && layer < step->n_layers ? m->values[layer] : num_missing();
    case SELECT_SCALAR:
    case SELECT_OUTPUT:
        break;
    }
    return num_missing();
}

bool select_column(const struct select_metric *m, struct column_key *key) {
    static const enum segment_field columns[] = {[FIELD_LOSS] = SEGMENT_LOSS,
                                                 [FIELD_LR] = SEGMENT_LR,
                                                 [FIELD_LOSS_AFTER] = SEGMENT_LOSS_AFTER,
                                                 [FIELD_VAL_LOSS] = SEGMENT_VAL_LOSS,
                                                 [FIELD_BATCH_SIZE] = SEGMENT_BATCH_SIZE};
    switch (m->kind) {
    case SELECT_FIELD:
        *key = (struct column_key){.kind = COLUMN_FIELD, .id = columns[m->id]};
        return true;
    case SELECT_SCALAR:
        *key =
            (struct column_key){.kind = COLUMN_SCALAR, .name = m->own, .name_len = strlen(m->own)};
        return true;
    case SELECT_STATISTIC:
        *key = (struct column_key){.kind = COLUMN_STATISTIC,
                                   .id = m->id,
                                   .name = m->own,
                                   .name_len = m->id == STAT_NONE ? strlen(m->own) : 0};
        return true;
    case SELECT_INSTRUMENT:
    case SELECT_OUTPUT:
        break;
    }
    return false;
}

bool select_add_step(struct selection *s, const struct step *step, const struct thermo *thermo,
                     const struct hello *hello) {
    select_index_layers(s, hello);
    for (size_t i = 0; i < s->n_series; i++) {
        struct select_series *one = &s->series[i];
        const struct select_metric *m = &s->metrics[one->metric];
        size_t layer = one->layer == SIZE_MAX ? THERMO_GLOBAL : s->layers[one->layer].index;
        if (m->kind != SELECT_INSTRUMENT || (one->layer != SIZE_MAX && layer == SIZE_MAX)) {
            continue; // the attempt had no such layer
        }
        double value = thermo_value(thermo, layer, (enum metric)m->id);
        if (!buckets_add(&one->buckets, step->step, value)) {
            return false;
        }
    }
    return true;
}

bool select_add_output(struct selection *s, unsigned id, int64_t step, double value) {
    for (size_t i = 0; i < s->n_series && !num_is_missing(value); i++) {
        const struct select_metric *m = &s->metrics[s->series[i].metric];
        if (m->kind == SELECT_OUTPUT && m->id == id &&
            !buckets_add(&s->series[i].buckets, step, value)) {
            return false;
        }
    }
    return true;
}

const char *select_unknown(const struct selection *s) {
    for (size_t i = 0; i < s->n_metrics; i++) {
        const struct select_metric *m = &s->metrics[i];
        if (m->kind == SELECT_STATISTIC && m->id == STAT_NONE && !m->seen) {
            return m->name;
        }
    }
    return NULL;
}
