// One training step as the wire brings it, in columns: one entry a layer in each.
//
// A struct step owns its memory and is reused from message to message; what it holds is valid until
// it is next filled. Missing scalars and entries are num_missing().
#ifndef WIRE_STEP_H
#define WIRE_STEP_H

#include "base/buf.h"
#include "base/check.h"
#include "base/stat.h"
#include "wire/error.h"

#include <stddef.h>
#include <stdint.h>

// Steps are 0 .. 2^43 - 1, so that a step and its attempt fit one 64-bit key (storage/schema.h).
#define STEP_MAX ((INT64_C(1) << 43) - 1)

struct step_column {
    enum statistic stat; // STAT_NONE: a statistic of the job's own
    const char *name;    // always set; for a known one stat_name()
    double *values;      // n_layers entries
    // NULL, or the same values as the frame brought them, float32 and unaligned: what stores the
    // step need not narrow them again. They are part of the message and gone with it.
    const void *floats;
};

struct step_scalar {
    const char *name;
    double value;
};

struct step {
    int64_t step;
    double time; // seconds since the epoch; 0 = on arrival
    double loss, lr, batch_size, loss_after, val_loss;
    size_t n_layers;
    size_t n_columns, n_scalars;
    struct step_column *columns;
    struct step_scalar *scalars;
    bool no_memory;
    // Memory behind the above.
    size_t values_cap;
    double *values;
    struct buf names;
};

void step_init(struct step *s);
void step_free(struct step *s);
// Empties the step for n_layers layers; keeps the memory.
void step_clear(struct step *s, size_t n_layers);
// Appends a column (its values uninitialised) or a scalar. NULL / false when the limits of
// config/limits.h or memory do not allow it (no_memory then says so). Pointers into the step stay
// valid until step_clear.
double *step_add_column(struct step *s, enum statistic stat, const char *name, size_t name_len);
bool step_add_scalar(struct step *s, const char *name, size_t name_len, double value);
// The values of a known statistic, or NULL.
const double *step_stat(const struct step *s, enum statistic stat);

// Reads a `step` or `scalars` line for a run of n_layers layers. 0, or -1 with the error filled.
int step_parse(struct step *s, const char *line, size_t len, size_t n_layers,
               struct wire_error *error) WARN_UNUSED;
// Writes the step as a line of the protocol, with its newline. `type` is "step" or "scalars".
void step_print(const struct step *s, const char *type, struct buf *out);

#endif
