// A step as a binary frame (the daemon's docs/protocol.md), for daemons whose welcome says that
// they read them: a tenth of the work of writing numbers as text.
//
// Statistics go out as float32, but for w_var, whose small changes matter, and for columns with a
// finite value that float32 would lose (too large, or too small for all its digits): those go out
// as float64. time, loss and lr are float64.
#ifndef CLIENTS_C_FRAME_H
#define CLIENTS_C_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/c/text.h"

enum { PYR_FRAME_VERSION = 1, PYR_FRAME_COLUMNS_MAX = 19 };

struct pyr_frame {
    int64_t step;
    double time, loss, lr;
    uint32_t batch_size; // 0: not measured
    size_t layer_count, column_count;
    unsigned char ids[PYR_FRAME_COLUMNS_MAX];
    const double *values; // column by column
};

// The id of a statistic, 0: frames know none of that name.
unsigned char pyr_frame_id(const char *name);
void pyr_frame_write(const struct pyr_frame *f, struct pyr_text *out);

#endif
