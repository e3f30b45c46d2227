#include "storage/loaded.h"

#include "base/memory.h"

static bool load_column(struct loaded *l, size_t i, struct codec *codec, struct blocks *blocks) {
    const struct segment_column *column = &l->s.columns[i];
    l->columns[i] = try_alloc(column->rows * l->s.n * sizeof(double));
    for (size_t k = 0; l->columns[i] && k < column->n_chunks; k++) {
        double *to = l->columns[i] + k * column->chunk_rows * l->s.n;
        if (!segment_read_chunk(&l->s, column, k, codec, blocks_read, blocks, to)) {
            return false;
        }
    }
    return l->columns[i] != NULL;
}

bool loaded_read(struct loaded *l, struct connection *c, struct codec *codec, const void *head,
                 size_t head_size, int64_t first_block) {
    struct blocks blocks = {.c = c, .first = first_block};
    *l = (struct loaded){0};
    if (segment_parse(&l->s, head, head_size)) {
        return false;
    }
    l->columns = try_calloc(l->s.n_columns + 1, sizeof *l->columns);
    bool good = l->columns != NULL;
    for (size_t i = 0; good && i < l->s.n_columns; i++) {
        good = load_column(l, i, codec, &blocks);
    }
    blocks_close(&blocks);
    if (!good) {
        loaded_free(l);
    }
    return good;
}

void loaded_free(struct loaded *l) {
    for (size_t i = 0; l->columns && i < l->s.n_columns; i++) {
        free(l->columns[i]);
    }
    free(l->columns);
    segment_free(&l->s);
    l->columns = NULL;
}
