// An alert as the API and its streams write it.
#ifndef API_ALERTS_H
#define API_ALERTS_H

#include "api/emit.h"
#include "storage/record.h"

// Room for one: its labels and annotations may take 2 x 16 x 4 KiB, and each byte up to six.
#define ALERT_BYTES_MAX ((size_t)1 << 20)

// Appends the alert as the contract's JSON object.
void alert_json(const struct alert_record *alert, struct buf *out);
// Labels or annotations, a line "key=value" each, as members of the object that is open.
void alert_emit_words(struct emit *e, const char *lines);

#endif
