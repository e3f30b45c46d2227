// Which alerts are silenced now, for answers. HTTP thread.
#ifndef API_SILENCES_H
#define API_SILENCES_H

#include "storage/outbox.h"
#include "wire/silence.h"

struct silence_set {
    struct silence *list;
    size_t n;
};

// The silences in force. -1 for an error of the store.
int silence_set_load(struct silence_set *s, struct reader *r) WARN_UNUSED;
void silence_set_free(struct silence_set *s);
bool silence_set_matches(const struct silence_set *s, const struct alert_record *a);

#endif
