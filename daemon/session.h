// The protocol as a job speaks it: what each of its messages does.
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "daemon/conn.h"

// One message without its line end. Replies and errors go to the connection.
void session_line(struct conn *c, const char *line, size_t len);

#endif
