// What happens with an alert's change once it is durable: it goes to the outbox's receivers and to
// the jobs that asked for it. Loop thread.
#ifndef DAEMON_ALARM_H
#define DAEMON_ALARM_H

#include "daemon/app.h"

void alarm_written(struct app *app, const struct alert_record *a);
// delivery_done_fn; the context is the struct app.
void alarm_delivered(void *app, int64_t notice);

#endif
