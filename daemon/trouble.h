// The store cannot be written: who must know is told. Jobs get an error that is not fatal and names
// no message, because nothing is dropped: their steps wait in memory, and once that is full in the
// jobs themselves. readyz, the metrics and the alert store_trouble say why. Loop thread.
#ifndef DAEMON_TROUBLE_H
#define DAEMON_TROUBLE_H

#include "daemon/conn.h"

// After every commit and every failure. NULL: all is well.
void trouble_note(struct app *app, const char *reason);
// Tells a job that just connected, if there is something to tell.
void trouble_tell(struct conn *c);

#endif
