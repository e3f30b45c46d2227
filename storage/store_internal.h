// What the files of the writing side share.
#ifndef STORAGE_STORE_INTERNAL_H
#define STORAGE_STORE_INTERNAL_H

#include "storage/statement.h"
#include "storage/store.h"

struct connection *store_connection(struct store *s);

#endif
