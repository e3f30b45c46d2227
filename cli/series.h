// A series of numbers in the notation of promtool's unit tests, expanded.
//
//     1 2.5 NaN Inf _    values as they stand; _ is 'not measured'
//     a+bxn, a-bxn       a, a+b, a+2b, ... a+nb: n+1 values
//     axn                a n+1 times
//     _xn                'not measured' n times
//     a~sxn, a+b~sxn     the same with normal noise of standard deviation s, always the same one
//
// The last line is ours: rules judge by a run's own scatter, which a constant does not have.
#ifndef CLI_SERIES_H
#define CLI_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"

enum { SERIES_MAX = 100000 };

// Values are malloc()ed for the caller to free. `seed` picks the noise. 0, or -1 with a message.
WARN_UNUSED int series_expand(const char *text, uint64_t seed, double **values, size_t *n,
                              struct buf *message);

#endif
