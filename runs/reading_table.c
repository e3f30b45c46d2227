#include "runs/reading_table.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

struct reading_cell {
    double value, low, high;
    uint32_t steps : 31; // a whole number
    uint32_t has_interval : 1;
    uint8_t reason, source, note, no_interval; // numbers of texts
};

_Static_assert(sizeof(struct reading_cell) == 32, "24 of them are kept of every layer");

void reading_table_init(struct reading_table *t, size_t n_rows) {
    *t = (struct reading_table){.n_texts = 1};
    t->cells = must_alloc(n_rows * METRIC_COUNT * sizeof *t->cells);
}

void reading_table_free(struct reading_table *t) {
    free(t->cells);
    *t = (struct reading_table){0};
}

static uint8_t find_text(struct reading_table *t, const char *text) {
    size_t i = 0;
    while (i < t->n_texts && t->texts[i] != text) {
        i++;
    }
    if (i == t->n_texts) {
        CHECK(t->n_texts < READING_TABLE_TEXTS);
        t->texts[t->n_texts++] = text;
    }
    return (uint8_t)i;
}

// Texts are static strings, a few dozen in all instruments: the address tells one from another.
static inline uint8_t number_of(struct reading_table *t, const char *text, uint8_t guess) {
    return t->texts[guess] == text ? guess : find_text(t, text);
}

void reading_table_put(struct reading_table *t, size_t row, const struct reading r[METRIC_COUNT]) {
    struct reading_cell *to = t->cells + row * METRIC_COUNT;
    static const struct reading_cell silent[METRIC_COUNT];
    const struct reading_cell *like = t->newest ? t->newest : silent; // most layers say the same
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        to[m] = (struct reading_cell){
            .value = r[m].value,
            .low = r[m].low,
            .high = r[m].high,
            .steps = (uint32_t)r[m].steps & INT32_MAX,
            .has_interval = r[m].has_interval,
            .reason = number_of(t, r[m].reason, like[m].reason),
            .source = number_of(t, r[m].source, like[m].source),
            .note = number_of(t, r[m].note, like[m].note),
            .no_interval = number_of(t, r[m].no_interval, like[m].no_interval),
        };
    }
    t->newest = to;
}

struct reading reading_table_get(const struct reading_table *t, size_t row, enum metric m) {
    const struct reading_cell *c = &t->cells[row * METRIC_COUNT + m];
    return (struct reading){
        .value = c->value,
        .low = c->low,
        .high = c->high,
        .steps = c->steps,
        .has_interval = c->has_interval,
        .reason = t->texts[c->reason],
        .source = t->texts[c->source],
        .note = t->texts[c->note],
        .no_interval = t->texts[c->no_interval],
    };
}

void reading_table_row(const struct reading_table *t, size_t row, struct reading r[METRIC_COUNT]) {
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        r[m] = reading_table_get(t, row, m);
    }
}
