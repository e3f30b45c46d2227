// What a request for series asks for: metrics, and the layers on which they are drawn.
#ifndef API_SELECT_H
#define API_SELECT_H

#include "api/buckets.h"
#include "api/query.h"
#include "probes/thermo.h"
#include "storage/segment.h"
#include "wire/hello.h"
#include "wire/step.h"

enum select_kind {
    SELECT_FIELD,
    SELECT_SCALAR,
    SELECT_INSTRUMENT,
    SELECT_STATISTIC,
    SELECT_OUTPUT
};

enum select_field { FIELD_LOSS, FIELD_LR, FIELD_LOSS_AFTER, FIELD_VAL_LOSS, FIELD_BATCH_SIZE };

struct select_metric {
    const char *name; // as asked for; the query's
    enum select_kind kind;
    unsigned id;          // an enum select_field, metric, stat or outputs_figure
    const char *own;      // a scalar's or a statistic's own name
    const double *values; // of the step being looked at: a statistic's column
    bool seen;            // some step had the statistic
};

struct select_layer {
    char *name;
    size_t index; // in the hello in force, SIZE_MAX: it is not there
};

struct select_series {
    size_t metric;
    size_t layer; // in `layers`; SIZE_MAX: the whole run
    struct buckets buckets;
};

struct selection {
    size_t n_metrics, n_layers, n_series;
    struct select_metric *metrics;
    struct select_layer *layers;
    struct select_series *series;
    const struct hello_layer *indexed; // what the layers' indices refer to
    bool has_scalars, has_instruments, has_outputs;
    bool has_columns; // anything but instruments and outputs
};

// The answer's status: 0, or 400 with a sentence in *problem; *s is to be freed all the
// same. `hello` names the run's layers.
unsigned select_open(struct selection *s, const struct query *q, const struct hello *hello,
                     size_t points, struct buf *problem) WARN_UNUSED;
void select_free(struct selection *s);
// Adds one series to a selection that began as {0}: of the whole run where `layer` is NULL.
void select_add(struct selection *s, const struct select_metric *m, const char *layer,
                size_t points);
// One metric by its name. False when there can be no such metric.
bool select_read_metric(const char *name, struct select_metric *out);
// Finds the metric's column in a step; then its value there. Not for scalars and outputs.
void select_look(struct select_metric *m, const struct step *step);
double select_value(const struct select_metric *m, size_t layer, const struct step *step,
                    const struct thermo *thermo);
// Adds what the instruments read at a step to the series. False when memory is gone.
bool select_add_step(struct selection *s, const struct step *step, const struct thermo *thermo,
                     const struct hello *hello) WARN_UNUSED;
// A figure (an enum outputs_figure) of a histogram of outputs. A missing one is left out.
bool select_add_output(struct selection *s, unsigned id, int64_t step, double value) WARN_UNUSED;
// Finds the layers in an attempt's hello.
void select_index_layers(struct selection *s, const struct hello *hello);
// The column of the store that has the metric. False for an instrument.
bool select_column(const struct select_metric *m, struct column_key *key);
// A metric that is neither known nor a statistic of any step that was added, NULL when there is
// none.
const char *select_unknown(const struct selection *s);
// Appends the names of all metrics.
void select_print_metrics(struct buf *out);

#endif
