#include "api/texts.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void texts_sort(struct texts *t) {
    size_t kept = 0;
    if (t->n) {
        qsort(t->at, t->n, sizeof *t->at, by_text);
    }
    for (size_t i = 0; i < t->n; i++) {
        if (kept && strcmp(t->at[kept - 1], t->at[i]) == 0) {
            free(t->at[i]);
        } else {
            t->at[kept++] = t->at[i];
        }
    }
    t->n = kept;
}

// Repetitions are thrown out before room is made.
static void make_room(struct texts *t) {
    texts_sort(t);
    if (2 * t->n >= t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->at = must_grow(t->at, t->cap * sizeof *t->at);
    }
}

void texts_add(struct texts *t, const char *text) {
    if (t->n && strcmp(t->at[t->n - 1], text) == 0) {
        return;
    }
    if (t->n == t->cap) {
        make_room(t);
    }
    t->at[t->n++] = must_copy(text);
}

void texts_free(struct texts *t) {
    for (size_t i = 0; i < t->n; i++) {
        free(t->at[i]);
    }
    free(t->at);
    *t = (struct texts){0};
}
