// An alert as the API and its streams write it.
#ifndef API_ALERTS_H
#define API_ALERTS_H

#include "api/board.h"
#include "api/emit.h"
#include "storage/record.h"

// Room for one: its labels and annotations may take 2 x 16 x 4 KiB, and each byte up to six.
#define ALERT_BYTES_MAX ((size_t)1 << 20)

// Appends the alert as the contract's JSON object.
void alert_json(const struct alert_record *alert, struct buf *out);
// The daemon's own alert: that nothing can be stored. The store cannot keep it; it is of no run and
// has the id 0, which no other alert has. Its texts are *trouble's.
struct alert_record alert_of_trouble(struct board_trouble *trouble);
// Labels, lines of base/words.h, as members of the object that is open.
void alert_emit_words(struct emit *e, const char *lines);
// Its annotations likewise, their names (alerts/template.h) replaced by what they stand for.
void alert_emit_annotations(struct emit *e, const struct alert_record *a);

#endif
