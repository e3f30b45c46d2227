// What a rule of the configuration's own is about: a metric by its name. Names are those of the
// REST API's series: `loss`, `lr`, `batch_size`, `val_loss`, `loss_after`, `scalar.NAME` of the
// whole run; a reading (`stability`, `temperature.kinetic`) of the run and its layers; a statistic
// (`g_var`, or one of the job's own) of the layers.
#ifndef ALERTS_METRIC_H
#define ALERTS_METRIC_H

#include "alerts/alerts.h"

enum metric_kind {
    METRIC_KIND_NONE,
    METRIC_KIND_LOSS,
    METRIC_KIND_LR,
    METRIC_KIND_BATCH,
    METRIC_KIND_VAL_LOSS,
    METRIC_KIND_LOSS_AFTER,
    METRIC_KIND_READING,
    METRIC_KIND_STATISTIC,
    METRIC_KIND_SCALAR, // of the job's own, for the whole run
    METRIC_KIND_COLUMN  // likewise, for layers
};

struct metric_source {
    enum metric_kind kind;
    enum metric metric;
    enum statistic stat;
    const char *name; // of the job's own
};

// `name` must outlive the source. Never fails: what is nothing else is a statistic of the job's
// own.
struct metric_source metric_source(const char *name);
// Whether the whole run, whether layers have such a value at all.
bool metric_of_run(const struct metric_source *m);
bool metric_of_layers(const struct metric_source *m);
// Of a layer, or of THERMO_GLOBAL; num_missing() where there is none.
double metric_value(const struct metric_source *m, const struct thermo *t,
                    const struct alerts_input *in, size_t layer);

#endif
