// The readings of many layers in less than half the bytes of a struct reading each, and none lost:
// what they say in words is of a few texts, which the table has once. Immutable once it is filled;
// then any thread.
#ifndef RUNS_READING_TABLE_H
#define RUNS_READING_TABLE_H

#include "probes/reading.h"

#include <stddef.h>
#include <stdint.h>

#define READING_TABLE_TEXTS 256 // the first is NULL

struct reading_table {
    struct reading_cell *cells;        // [row * METRIC_COUNT + metric]
    const struct reading_cell *newest; // of the row that was put last; NULL before
    size_t n_texts;
    const char *texts[READING_TABLE_TEXTS];
};

void reading_table_init(struct reading_table *t, size_t n_rows);
void reading_table_free(struct reading_table *t);
void reading_table_put(struct reading_table *t, size_t row, const struct reading r[METRIC_COUNT]);
struct reading reading_table_get(const struct reading_table *t, size_t row, enum metric m);
void reading_table_row(const struct reading_table *t, size_t row, struct reading r[METRIC_COUNT]);

#endif
