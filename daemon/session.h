// The protocol as a job speaks it: what each of its messages does.
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "daemon/conn.h"
#include "wire/hello.h"

// One message without its line end. Replies and errors go to the connection.
void session_line(struct conn *c, const char *line, size_t len);
// One binary step frame with its header (wire/frame.h).
void session_frame(struct conn *c, const void *frame, size_t len);

// For ranks.c, which does for several connections what a hello does for one:
// takes a stored run up with this hello (which it may take over);
int session_join(struct live_run *l, struct hello *hello, struct wire_error *error);
// the connection feeds the run from now on;
void session_attach(struct conn *c, struct live_run *l);
// connections of an attempt that was left behind must not write into the new one;
void session_end_others(struct live_run *l);
void session_welcome(struct conn *c, const char *run, int64_t last_step);
// and the error for a step that cannot be stored in order.
int session_misplaced(int64_t step, int64_t newest, struct wire_error *error);

#endif
