// What the files of the reading side share.
#ifndef STORAGE_READER_INTERNAL_H
#define STORAGE_READER_INTERNAL_H

#include "storage/codec.h"
#include "storage/reader.h"
#include "storage/statement.h"

// Of `alert AS a JOIN run AS r`. An alert is inhibited while the first one of its group fires with
// a higher severity; there is no data for it while its run is stalled.
#define ALERT_COLUMNS                                                                              \
    "a.id, a.run, a.attempt, r.name, r.project, a.rule, a.layer, a.severity, a.state, a.since, "   \
    "a.step, a.started, a.fired, a.resolved, a.changed, a.value, a.threshold, a.alert_group, "     \
    "a.summary, a.acknowledged, a.closed_by, a.labels, a.annotations, "                            \
    "(r.status=1 AND a.state<2 AND a.rule<>'stalled'), "                                           \
    "(SELECT first.rule FROM alert AS first WHERE first.id=a.alert_group), "                       \
    "(SELECT first.layer FROM alert AS first WHERE first.id=a.alert_group), "                      \
    "EXISTS (SELECT 1 FROM alert AS first WHERE first.id=a.alert_group AND first.state=1 AND "     \
    "first.severity>a.severity)"
#define ALERT_COLUMN_COUNT 27

struct connection *reader_connection(struct reader *r);
struct codec *reader_codec(struct reader *r);
void alert_fill(sqlite3_stmt *q, struct alert_record *out);

#endif
