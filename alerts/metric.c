#include "alerts/metric.h"

#include "base/num.h"
#include "base/stat.h"
#include "probes/metric.h"

#include <string.h>

#define SCALAR "scalar."

struct metric_source metric_source(const char *name) {
    static const struct {
        const char *name;
        enum metric_kind kind;
    } plain[] = {{"loss", METRIC_KIND_LOSS},
                 {"lr", METRIC_KIND_LR},
                 {"batch_size", METRIC_KIND_BATCH},
                 {"val_loss", METRIC_KIND_VAL_LOSS},
                 {"loss_after", METRIC_KIND_LOSS_AFTER}};
    struct metric_source m = {.kind = METRIC_KIND_COLUMN, .name = name};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(name, plain[i].name) == 0) {
            m.kind = plain[i].kind;
            return m;
        }
    }
    m.stat = stat_find(name, strlen(name));
    if (m.stat != STAT_NONE) {
        m.kind = METRIC_KIND_STATISTIC;
    } else if (metric_find(name, &m.metric)) {
        m.kind = METRIC_KIND_READING;
    } else if (strncmp(name, SCALAR, strlen(SCALAR)) == 0) {
        m.kind = METRIC_KIND_SCALAR;
    }
    return m;
}

bool metric_of_run(const struct metric_source *m) {
    return m->kind != METRIC_KIND_STATISTIC && m->kind != METRIC_KIND_COLUMN;
}

bool metric_of_layers(const struct metric_source *m) {
    return m->kind == METRIC_KIND_READING || m->kind == METRIC_KIND_STATISTIC ||
           m->kind == METRIC_KIND_COLUMN;
}

double metric_value(const struct metric_source *m, const struct thermo *t,
                    const struct alerts_input *in, size_t layer) {
    const double *column;
    switch (m->kind) {
    case METRIC_KIND_LOSS:
        return in->step->loss;
    case METRIC_KIND_LR:
        return in->step->lr;
    case METRIC_KIND_BATCH:
        return in->step->batch_size;
    case METRIC_KIND_VAL_LOSS:
        return in->val_loss;
    case METRIC_KIND_LOSS_AFTER:
        return in->loss_after;
    case METRIC_KIND_READING:
        return thermo_value(t, layer, m->metric);
    case METRIC_KIND_STATISTIC:
        column = in->step->stat[m->stat];
        return column ? column[layer] : num_missing();
    case METRIC_KIND_SCALAR:
    case METRIC_KIND_COLUMN:
        return in->lookup ? in->lookup(in->lookup_context, m->name, layer) : num_missing();
    case METRIC_KIND_NONE:
    default:
        return num_missing();
    }
}
