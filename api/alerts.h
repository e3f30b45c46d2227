// An alert as the API and its streams write it.
#ifndef API_ALERTS_H
#define API_ALERTS_H

#include "base/buf.h"
#include "storage/record.h"

// Appends the alert as the contract's JSON object.
void alert_json(const struct alert_record *alert, struct buf *out);

#endif
