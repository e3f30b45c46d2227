// The configuration's alerts.rules turned into the rules in force.
#ifndef DAEMON_RULES_H
#define DAEMON_RULES_H

#include "daemon/app.h"

// Sets app->rules from `config`. -1 with a message, and the rules as they were.
int rules_apply(struct app *app, const struct config *config, struct buf *error) WARN_UNUSED;
void rules_free(struct app *app);

#endif
