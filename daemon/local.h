// Sessions of jobs that reach the daemon through its own HTTP side: one end of a socket pair is
// taken in by the loop like any connection that it accepted.
#ifndef DAEMON_LOCAL_H
#define DAEMON_LOCAL_H

#include "daemon/app.h"

struct local;

// Loop thread.
struct local *local_create(struct app *app);
void local_destroy(struct local *l); // NULL is fine
// Takes in what was connected since the last call.
void local_take(struct app *app);
// On the way out: refuses what was not taken in, and whatever comes later.
void local_refuse_all(struct app *app);
// api_config.open_session; `context` is the struct app. Any thread.
int local_connect(void *context, char message[256]);

#endif
