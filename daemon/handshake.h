// TLS handshakes of jobs that came to nothing: counted, and each cause told in the log once. Loop
// thread.
#ifndef DAEMON_HANDSHAKE_H
#define DAEMON_HANDSHAKE_H

#include "daemon/conn.h"

// Where a TCP connection comes from, while that is known.
void handshake_print_peer(const uv_tcp_t *job, char *text, size_t size);
void handshake_failed(const struct conn *c, const char *why);
// The job speaks TLS where the daemon does not. It will hardly read what it is answered.
void handshake_refuse_tls(struct conn *c);
// The job speaks without TLS where the daemon wants it, and is answered without.
void handshake_refuse_plain(struct conn *c);

#endif
