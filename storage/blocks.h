// Segments in the database: putting them there, and reading a piece of a block without the rest.
#ifndef STORAGE_BLOCKS_H
#define STORAGE_BLOCKS_H

#include "storage/segment.h"
#include "storage/statement.h"

// Reads pieces of one segment's blocks. Holds a read transaction from the first piece on until
// blocks_close().
struct blocks {
    struct connection *c;
    int64_t first; // id of the segment's first block
    int64_t open;  // id of the one at hand, 0: none
    sqlite3_blob *blob;
};

// A segment_read_fn; the context is a struct blocks.
bool blocks_read(void *context, size_t block, size_t offset, size_t size, void *to);
void blocks_close(struct blocks *b);

#endif
