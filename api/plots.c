#include "api/plots.h"

#include "api/times.h"
#include "base/memory.h"
#include "base/num.h"
#include "base/stat.h"
#include "probes/metric.h"
#include "runs/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAD "pyrometer_"
#define NEWEST_STEPS 2000 // are looked at for statistics and scalars of the job's own

static const char *const label_names[] = {SELECTOR_NAME, "run",       "project", "layer",
                                          "thermometer", "statistic", "scalar"};

// The label that tells metrics of one name apart; NULL where the name is enough.
static const char *kind_label(const struct select_metric *m) {
    switch (m->kind) {
    case SELECT_INSTRUMENT:
        return metric_is_temperature((enum metric)m->id) ? "thermometer" : NULL;
    case SELECT_STATISTIC:
        return "statistic";
    case SELECT_SCALAR:
        return "scalar";
    case SELECT_FIELD:
    case SELECT_OUTPUT:
        break;
    }
    return NULL;
}

size_t plot_labels(const struct plot *p, char name[80], struct label labels[PLOT_LABELS + 1]) {
    const struct select_metric *m = &p->metric;
    const char *kind = kind_label(m);
    size_t n = 0;
    snprintf(name, 80, LEAD "%s", !kind ? m->name : *kind == 't' ? "temperature" : kind);
    labels[n++] = (struct label){SELECTOR_NAME, name};
    labels[n++] = (struct label){"run", p->run};
    if (*p->project) {
        labels[n++] = (struct label){"project", p->project};
    }
    if (p->layer) {
        labels[n++] = (struct label){"layer", p->layer};
    }
    if (kind) {
        const char *value = *kind == 't' ? metric_name((enum metric)m->id) : m->own;
        labels[n++] = (struct label){kind, value};
    }
    return n;
}

static bool is_meant(const struct selector *s, const struct plot *p) {
    char name[80];
    struct label labels[PLOT_LABELS + 1];
    size_t n = plot_labels(p, name, labels);
    for (size_t i = 0; i < sizeof label_names / sizeof *label_names; i++) {
        size_t j = 0;
        while (j < n && strcmp(labels[j].name, label_names[i]) != 0) {
            j++;
        }
        if (!selector_admits(s, label_names[i], j < n ? labels[j].value : "")) {
            return false;
        }
    }
    return selector_admits_rest(s, label_names, sizeof label_names / sizeof *label_names);
}

static void add(struct plots *p, const struct plot *plot) {
    if (p->see) {
        p->see(p->context, plot);
        return;
    }
    if (p->n == PLOTS_MAX) {
        p->too_many = true;
        return;
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->at = must_grow(p->at, p->cap * sizeof *p->at);
    }
    struct plot *added = &p->at[p->n++];
    *added = *plot;
    added->run = must_copy(plot->run);
    added->project = must_copy(plot->project);
    added->layer = must_copy(plot->layer);
}

// The metric of the whole run, where it can have one, and of its layers.
static void add_metric(struct plots *p, const struct selector *s, struct plot *plot,
                       const struct hello *hello) {
    enum select_kind kind = plot->metric.kind;
    plot->layer = NULL;
    if (kind != SELECT_STATISTIC && is_meant(s, plot)) {
        add(p, plot);
    }
    for (size_t l = 0;
         (kind == SELECT_STATISTIC || kind == SELECT_INSTRUMENT) && l < hello->n_layers; l++) {
        plot->layer = hello->layers[l].name;
        if (is_meant(s, plot)) {
            add(p, plot);
        }
    }
}

// A name of the job's own, kept once.
static void note_name(struct plots *p, const char *lead, const char *own, size_t before) {
    char name[160];
    snprintf(name, sizeof name, "%s%s", lead, own);
    for (size_t i = before; i < p->n_names; i++) {
        if (strcmp(p->names[i], name) == 0) {
            return;
        }
    }
    p->names = must_grow(p->names, (p->n_names + 1) * sizeof *p->names);
    p->names[p->n_names++] = must_copy(name);
}

// The statistics and scalars of the newest steps.
static int find_own(struct plots *p, struct reader *r, const struct run_record *run) {
    int64_t last = run->progress.last_step;
    struct walk_options options = {.scalars = true,
                                   .in_force_only = true,
                                   .from = last > NEWEST_STEPS ? last - NEWEST_STEPS : 0,
                                   .to = STEP_MAX};
    size_t before = p->n_names;
    struct walk *w;
    if (walk_open(&w, r, run->id, &options)) {
        return -1;
    }
    enum walk_item item;
    while ((item = walk_next(w)) > WALK_END) {
        const struct step *step = walk_step(w);
        for (size_t i = 0; item == WALK_STEP && i < step->n_columns; i++) {
            note_name(p, "", step->columns[i].name, before);
        }
        for (size_t i = 0; (item == WALK_STEP || item == WALK_SCALARS) && i < step->n_scalars;
             i++) {
            note_name(p, "scalar.", step->scalars[i].name, before);
        }
    }
    walk_close(w);
    return item == WALK_ERROR ? -1 : 0;
}

static const char *const fields[] = {"loss", "lr", "loss_after", "val_loss", "batch_size"};

static void add_known(struct plots *p, const struct selector *s, struct plot *plot,
                      const struct hello *hello) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        CHECK(select_read_metric(fields[i], &plot->metric));
        add_metric(p, s, plot, hello);
    }
    for (int m = 0; m < METRIC_COUNT; m++) {
        if (m != METRIC_QUADRANT) {
            plot->metric = (struct select_metric){
                .name = metric_name((enum metric)m), .kind = SELECT_INSTRUMENT, .id = (unsigned)m};
            add_metric(p, s, plot, hello);
        }
    }
}

int plots_add_run(struct plots *p, struct reader *r, const struct run_record *run,
                  const struct selector *s, bool own) {
    struct plot plot = {.run = run->name, .project = run->project ? run->project : (char[]){""}};
    struct wire_error error;
    struct hello hello;
    if (!selector_admits(s, "run", plot.run) || !selector_admits(s, "project", plot.project)) {
        return 0;
    }
    if (hello_parse(&hello, run->facts, strlen(run->facts), &error)) {
        return 0; // it was read once; a daemon of another version may know no better
    }
    add_known(p, s, &plot, &hello);
    size_t before = p->n_names;
    int rc = 0;
    if (own && (selector_admits(s, SELECTOR_NAME, LEAD "statistic") ||
                selector_admits(s, SELECTOR_NAME, LEAD "scalar"))) {
        rc = find_own(p, r, run);
    }
    for (size_t i = before; i < p->n_names; i++) {
        if (select_read_metric(p->names[i], &plot.metric) &&
            (plot.metric.kind == SELECT_STATISTIC || plot.metric.kind == SELECT_SCALAR)) {
            add_metric(p, s, &plot, &hello);
        }
    }
    hello_free(&hello);
    return rc;
}

void plots_free(struct plots *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->at[i].run);
        free(p->at[i].project);
        free(p->at[i].layer);
        free(p->at[i].points);
    }
    for (size_t i = 0; i < p->n_names; i++) {
        free(p->names[i]);
    }
    free(p->at);
    free(p->names);
    *p = (struct plots){0};
}

// 1 and the time of a step in force, 0 when there is none, -1 for an error of the store.
static int time_of_step(struct reader *r, const struct attempt_record *attempts, size_t n,
                        int64_t step, double *time) {
    struct step_times t;
    int rc = times_read(&t, r, attempts, n, step, step) ? -1 : t.n > 0;
    *time = rc == 1 ? t.at[0].time : 0;
    times_free(&t);
    return rc;
}

int plots_overlap(struct reader *r, const struct run_record *run, double start, double end) {
    const struct run_progress *p = &run->progress;
    struct attempt_record *attempts;
    size_t n;
    double first = 0, last = 0;
    if (reader_attempts(r, run->id, &attempts, &n)) {
        return -1;
    }
    int rc = time_of_step(r, attempts, n, p->first_step, &first);
    rc = rc <= 0 ? rc : time_of_step(r, attempts, n, p->last_step, &last);
    for (size_t i = 0; i < n; i++) {
        attempt_record_free(&attempts[i]);
    }
    free(attempts);
    if (rc <= 0) {
        return rc;
    }
    last = last > p->last_seen ? last : p->last_seen; // messages may come behind the last step
    return first <= end && last + PLOT_LOOKBACK_S >= start;
}
