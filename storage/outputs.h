// Walks a run's histograms of outputs in the order in which they came. A cursor has a statement of
// its own, so that several may be open at once. Belongs to the reader's thread.
#ifndef STORAGE_OUTPUTS_H
#define STORAGE_OUTPUTS_H

#include "storage/reader.h"

struct outputs_cursor;

// Leaves out the first `skip`.
int outputs_cursor_open(struct outputs_cursor **out, struct reader *r, int64_t run,
                        int64_t skip) WARN_UNUSED;
// 1 and *out filled (the caller's, outputs_record_free), 0 at the end, -1 for an error.
int outputs_cursor_next(struct outputs_cursor *c, struct outputs_record *out) WARN_UNUSED;
void outputs_cursor_close(struct outputs_cursor *c);

#endif
