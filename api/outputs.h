// A run's histograms of outputs, as series and in a reading.
#ifndef API_OUTPUTS_H
#define API_OUTPUTS_H

#include "api/emit.h"
#include "api/select.h"
#include "runs/snapshot.h"
#include "storage/reader.h"

// The figures that are drawn as outputs.NAME.
enum outputs_figure { OUTPUTS_ENTROPY, OUTPUTS_TOTAL_VARIATION, OUTPUTS_JENSEN_SHANNON };

// False when there is none of this name.
bool outputs_find(const char *name, unsigned *id);
void outputs_print_metrics(struct buf *out);
// Follows the run's histograms from its start and adds the figures of those in force and within
// from..to. 0, 1 when memory is gone, -1 for an error of the store.
int outputs_draw(struct selection *s, struct reader *reader, int64_t run, int64_t from,
                 int64_t to) WARN_UNUSED;
// "outputs": null before the first histogram.
void outputs_emit(struct emit *e, const struct snapshot *s);

#endif
