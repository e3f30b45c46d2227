// Alerts that fire now, and those that resolved a short while ago. Loop thread.
#ifndef DELIVERY_ACTIVE_H
#define DELIVERY_ACTIVE_H

#include "storage/record.h"

#define ACTIVE_RESOLVED_S 300.0 // how long an end is told again

struct active {
    struct active *next;
    struct alert_record alert;
    double until_s; // wall clock; 0 while it fires
};

struct actives {
    struct active *first;
};

// Takes in a change. Returns the alert as it is now, with what only earlier changes knew: valid
// until the next call. An alert that became more severe ends under its old severity, because the
// severity is part of what Alertmanager knows it by. The end of an alert is forgotten when one of
// the same labels begins.
const struct alert_record *actives_note(struct actives *list, const struct alert_record *a);
// The newest entry of that alert; NULL when there is none.
const struct active *actives_find(const struct actives *list, int64_t id);
// Whether the first alert of the same cause fires and is more severe.
bool actives_inhibit(const struct actives *list, const struct alert_record *a);
// The run is gone: what fires has ended.
void actives_end_run(struct actives *list, int64_t run);
void actives_expire(struct actives *list, double now);
void actives_free(struct actives *list);

#endif
