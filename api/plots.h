// A stored run's series under the names and labels that Prometheus' query language wants, and their
// values at points in time. On a worker.
//
// pyrometer_loss{run,project}, pyrometer_entropy{run,project,layer},
// pyrometer_temperature{...,thermometer}, pyrometer_statistic{...,statistic},
// pyrometer_scalar{...,scalar}; a series of the whole run has no layer.
#ifndef API_PLOTS_H
#define API_PLOTS_H

#include "api/draw.h"
#include "api/selector.h"
#include "storage/reader.h"

#define PLOTS_MAX LIMIT_SERIES
#define PLOT_LABELS 5
// How long a value stands for the time behind it, as in Prometheus.
#define PLOT_LOOKBACK_S 300.0

struct label {
    const char *name, *value;
};

struct plot_point {
    size_t at; // which evaluation
    double value;
};

struct plot {
    struct select_metric metric;
    char *layer;         // NULL: the whole run
    char *run, *project; // project may be ""
    struct plot_point *points;
    size_t n_points, cap;
};

struct plots {
    struct plot *at;
    size_t n, cap;
    char **names; // that own metrics refer to
    size_t n_names;
    bool too_many; // there were more than PLOTS_MAX
    // Where it is set plots are shown to it, however many, and not kept.
    void (*see)(void *context, const struct plot *plot);
    void *context;
};

// The labels of a plot, first its name: as many as are returned. Of a metric's they are its name's
// and its kind's.
size_t plot_labels(const struct plot *p, char name[80], struct label labels[PLOT_LABELS + 1]);

// Adds those series of a run that the selector means. `own`: looks into the run's newest steps for
// statistics and scalars. -1 for an error of the store.
int plots_add_run(struct plots *p, struct reader *r, const struct run_record *run,
                  const struct selector *s, bool own) WARN_UNUSED;
void plots_free(struct plots *p);
// Whether the run has steps between the times, by those of its first and last: a job's clock need
// not be the daemon's. -1 for an error of the store.
int plots_overlap(struct reader *r, const struct run_record *run, double start,
                  double end) WARN_UNUSED;

// When to evaluate: n times from start on.
struct plot_times {
    double start, step;
    size_t n;
};
// Fills the points of the plots from..n-1, which are all of this run: read by steps as any series
// (api/draw.h), and laid over the times of these (api/times.h). Within a read transaction.
enum outcome plots_draw(struct plots *p, size_t from, struct request *q,
                        const struct run_record *run, const struct plot_times *times,
                        uint64_t deadline_ns) WARN_UNUSED;

#endif
