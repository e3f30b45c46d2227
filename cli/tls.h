// TLS over a connected, non-blocking socket: the client's side. Waits during the handshake only.
#ifndef CLI_TLS_H
#define CLI_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TLS_SCHEME "tls://"

struct tls;

// Shakes hands and wants a certificate that is good for the host and signed by a CA of the system,
// or of the file $PYROMETER_CA. NULL with the reason when that fails or takes too long.
struct tls *tls_open(int fd, const char *host, char *reason, size_t reason_size);
void tls_close(struct tls *tls); // NULL is fine; the socket stays the caller's

// Like send() and recv(), errno EAGAIN included; a cut connection is ECONNABORTED, and what TLS
// itself finds wrong EPROTO.
ssize_t tls_send(struct tls *tls, const void *bytes, size_t n);
ssize_t tls_receive(struct tls *tls, void *to, size_t n);
// No more will be sent.
void tls_end(struct tls *tls);

#endif
