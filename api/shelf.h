// Answers that many ask for and that are made once a change: the bodies, with the board's version
// from before they were made. Any thread.
#ifndef API_SHELF_H
#define API_SHELF_H

#include "api/body.h"

struct shelf;

struct shelf *shelf_create(void);
void shelf_destroy(struct shelf *s);
// The body under that key if it shows everything up to `version`: a reference. NULL when there is
// none.
struct body *shelf_find(struct shelf *s, const char *key, uint64_t version);
// Keeps a reference to it under that key.
void shelf_keep(struct shelf *s, const char *key, struct body *body);

#endif
