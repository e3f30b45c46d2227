// What the HTTP side asks of the loop: it waits while the loop does it and the writer makes it
// durable.
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "daemon/app.h"

struct commands *commands_create(struct app *app);
void commands_destroy(struct commands *c);
// api_config.command; `context` is the struct app. Called on a worker of the API.
int commands_submit(void *context, const struct api_command *command, char message[256]);
// Loop thread: takes what was submitted; and, after commits, answers what has become durable.
void commands_take(struct app *app);
void commands_answer(struct app *app);
// On the way out: answers everything, and whatever comes later, with a refusal.
void commands_refuse_all(struct app *app);

#endif
