// A job's introduction: the run, its layers, and the facts the thermometers need.
#ifndef WIRE_HELLO_H
#define WIRE_HELLO_H

#include "base/buf.h"
#include "base/check.h"
#include "config/limits.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hello_layer {
    char *name;
    double n;                // number of parameters; 0: a rank that holds none of them
    char *kind, *activation; // "" where not said
};

struct hello {
    char run[LIMIT_RUN_NAME + 1];
    char *project, *token; // "" where not said
    char *loss;            // "cross_entropy", "mse", "mae", "other" or ""
    struct {
        char *name;                                      // "" where not said
        double lr, momentum, beta1, beta2, weight_decay; // num_missing() where not said
        bool nesterov;
    } optimizer;
    double batch_size, dataset_size; // num_missing() where not said
    double rank, world_size;         // 0 of 1 where not said
    bool shards; // the rank holds a shard of each layer, one of world_size > 1 (wire/shards.h)
    bool notify; // the job wants to be told of alerts over this connection
    bool rewind;
    int64_t rewind_step; // with rewind: the last step that stays
    size_t n_layers;
    struct hello_layer *layers;
    // The facts as JSON text: the hello as it came, less `token` and `resume`. Two hellos with the
    // same facts continue one another.
    char *facts;
};

// 0, or -1 with the error filled (bad_json, bad_hello, unsupported_protocol). *out is then empty.
int hello_parse(struct hello *out, const char *line, size_t len,
                struct wire_error *error) WARN_UNUSED;
void hello_free(struct hello *h);
// True when names and order of the layers are the same; with hello_same_layers the sizes too.
bool hello_same_names(const struct hello *a, const struct hello *b);
bool hello_same_layers(const struct hello *a, const struct hello *b);
// The line that introduces the run again: its facts with `resume` where it rewinds (rewind_step >=
// -1), with a newline. `facts` as in struct hello. rewind_step HELLO_NO_REWIND: no resume.
#define HELLO_NO_REWIND INT64_MIN
void hello_print(const char *facts, int64_t rewind_step, struct buf *out);

#endif
