// What is known now of the daemon and of its live runs, as samples: /metrics prints them and remote
// write sends them. Which there are, their names and their labels are decided here alone. Any
// thread.
#ifndef API_SAMPLES_H
#define API_SAMPLES_H

#include "alerts/rules.h"
#include "api/board.h"
#include "storage/reader.h"

#define SAMPLE_LABELS 3 // the most that one has

enum { SAMPLE_SEVERITIES = SEVERITY_CRITICAL + 1 };

// What samples of one name have in common. A counter's samples end in _total.
struct metrics_family {
    const char *name, *type;
    const char *unit; // NULL: none
    const char *help;
};

struct metrics_label {
    const char *name, *value;
};

// Valid for the call that it is given to.
struct metrics_sample {
    const struct metrics_family *family;
    const char *suffix; // of the name
    struct metrics_label labels[SAMPLE_LABELS];
    size_t n_labels;
    double value; // never 'not measured': of that there is no sample
};

struct metrics_sink {
    void (*begin)(void *context, const struct metrics_family *f); // its samples follow; may be NULL
    void (*put)(void *context, const struct metrics_sample *s);
    void *context;
};

// Whether some sample has a label of that name.
bool samples_have_label(const char *name);

// The alerts that fire, by severity. False when the store cannot be read.
bool samples_count_firing(struct reader *reader, uint64_t firing[SAMPLE_SEVERITIES]);

// firing: NULL where it is not known.
void samples_of_daemon(struct board *board, const uint64_t firing[SAMPLE_SEVERITIES],
                       const struct metrics_sink *sink);
// All of one run.
void samples_of_run(const struct snapshot *s, const struct metrics_sink *sink);
// Of all these runs, family by family. Of temperatures at most so many, whole runs first; how many
// were left out is a sample of its own.
void samples_of_runs(struct snapshot *const *runs, size_t n, size_t max_temperatures,
                     const struct metrics_sink *sink);

#endif
