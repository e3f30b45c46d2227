// The hello of a run whose layers are spread over ranks, made from the ranks' own hellos.
#ifndef WIRE_SHARDS_H
#define WIRE_SHARDS_H

#include "wire/hello.h"

// What the ranks that said hello have in common.
struct shards {
    const char *facts;    // of the lowest of them, as in struct hello
    const double *n;      // parameters of each layer, all ranks together
    double batch_size;    // of all ranks together; num_missing() where none said
    size_t world_size;    // as the ranks say it
    const size_t *absent; // ranks that have not said hello, so that `n` lacks their shards
    size_t n_absent;
};

// One rank's facts with the whole layers' sizes: the hello of the merged run, as if one process
// sent it. `sharded_over` keeps the number of ranks, `absent_ranks` those that `n` lacks. 0, or -1
// with the error filled.
int shards_hello(const struct shards *s, struct hello *out, struct wire_error *error) WARN_UNUSED;
// Whether the run began before all its ranks had said hello, so that its layers may still grow.
bool shards_were_absent(const struct hello *h);

#endif
