// The addresses that jobs connect to.
#ifndef DAEMON_INGEST_H
#define DAEMON_INGEST_H

#include "daemon/app.h"

// Binds and listens on every address of ingest.listen. -1 with a message that names the address.
int ingest_listen(struct app *app, struct buf *error);
// Appends the addresses really listened on, as a JSON list of strings.
void ingest_print_addresses(const struct app *app, struct buf *out);
// Closes the listeners; connections stay.
void ingest_close(struct app *app);

#endif
