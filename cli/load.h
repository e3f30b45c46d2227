// Loads a daemon's ingest with runs that never ran, a connection each, and follows what it answers,
// for `bench`.
#ifndef CLI_LOAD_H
#define CLI_LOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/latencies.h"

enum { LOAD_STATS = 10 }; // statistics a layer and step

struct load_options {
    const char *ingest, *token; // token may be NULL
    const char *prefix;         // of the runs' names, a number behind it
    size_t runs, layers;
    bool lines;     // of JSON; else frames
    int64_t steps;  // the most a run sends
    double seconds; // for which steps are sent; may be infinite
    double rate;    // steps a second of each run, 0: as many as the daemon takes
    bool progress;  // on standard error
    const volatile sig_atomic_t *stop;
};

struct load_result {
    uint64_t sent, acknowledged; // steps
    uint64_t bytes;
    uint64_t errors, busy; // `busy`: the errors called `overloaded`
    double seconds;        // from the first step to the last acknowledgement
    double cpu_s;          // of this process meanwhile
    size_t begun;          // runs that the daemon welcomed
    bool *welcomed;        // which, by their numbers; free() it
    bool whole;            // every run said all it had to, and was acknowledged
    struct latencies latencies;
};

// What went wrong has been said on standard error.
void load_drive(const struct load_options *o, struct load_result *result);
// The name of run i.
void load_name(const struct load_options *o, size_t i, char *name, size_t size);

#endif
