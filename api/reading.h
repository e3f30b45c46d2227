// Readings as JSON, each serialised once, and a cache of those that were rebuilt from the store.
// Any thread.
#ifndef API_READING_H
#define API_READING_H

#include "api/body.h"
#include "api/emit.h"
#include "api/find.h"

// What a reading tells.
enum reading_detail {
    READING_BRIEF, // of the layers what is asked for most: a third of the bytes
    READING_FULL,
    READING_ALONE // the whole run without its layers
};

// The values of the parameter `detail` by the two above.
extern const char *const reading_details[];

struct reading_cache;

struct reading_cache *reading_cache_create(void);
void reading_cache_destroy(struct reading_cache *c);

// The run's newest snapshot, a reference: the live one, else one rebuilt from the store (and kept a
// while). NULL for an error of the store. For a run that is not live: on a worker only.
struct snapshot *reading_snapshot(struct request *q, const struct found *run);
// The reading, brief or full, as JSON, serialised once a snapshot; a reference. NULL when it is too
// large.
struct body *reading_body(struct snapshot *s, enum reading_detail detail);
// One value with its interval, or its reason.
void reading_emit_value(struct emit *e, const char *key, const struct reading *r);
void reading_emit(struct emit *e, const char *key, const struct snapshot *s,
                  enum reading_detail detail);

#endif
