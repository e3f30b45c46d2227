// A segment of the database with all its values in memory. Inside storage/.
#ifndef STORAGE_LOADED_H
#define STORAGE_LOADED_H

#include "storage/blocks.h"

struct loaded {
    struct segment s;
    double **columns; // rows of s.n values each
};

// False when it is damaged; then there is nothing to free.
bool loaded_read(struct loaded *l, struct connection *c, struct codec *codec, const void *head,
                 size_t head_size, int64_t first_block) WARN_UNUSED;
void loaded_free(struct loaded *l);

#endif
