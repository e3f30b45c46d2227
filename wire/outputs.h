// A histogram of what the model put out: the `outputs` message.
//
//   {"type":"outputs","step":17,"bins":[0,1,2,3],"counts":[10,20,5]}
//
// `bins` are the edges of the bins, one more than `counts`, or one value a bin (classes, tokens);
// either way finite and rising. `counts` are 0 or more, at least one is above 0; they need not be
// whole, so that weighted or averaged ones will do.
#ifndef WIRE_OUTPUTS_H
#define WIRE_OUTPUTS_H

#include "base/buf.h"
#include "base/check.h"
#include "wire/error.h"

#include <stddef.h>
#include <stdint.h>

// Owns its memory and is reused from message to message. Zero it before the first.
struct outputs {
    int64_t step;
    double time; // seconds since the epoch; 0 = on arrival
    size_t n_bins, n_counts;
    double *bins, *counts;
};

void outputs_free(struct outputs *o);
// 0, or -1 with the error filled (bad_json, wrong_shape, bad_value).
int outputs_parse(struct outputs *o, const char *line, size_t len,
                  struct wire_error *error) WARN_UNUSED;
// Writes it as a line of the protocol, with its newline. Numbers read back to the same bits.
void outputs_print(const struct outputs *o, struct buf *out);
void outputs_copy(struct outputs *to, const struct outputs *from);
// Adds the counts of another one over the same bins. False, and nothing is added, where they
// differ or the sum would not be finite.
bool outputs_add(struct outputs *to, const struct outputs *from);

#endif
