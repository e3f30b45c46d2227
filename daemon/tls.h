// TLS of one job's connection, between its socket and its messages: records in, plain bytes out,
// and back. It has no socket and never waits. Loop thread.
#ifndef DAEMON_TLS_H
#define DAEMON_TLS_H

#include "base/buf.h"
#include "daemon/certificate.h"

#include <stdbool.h>
#include <stddef.h>

// What one read may bring, so that all it says fits in `plain` bytes: a record whose beginning came
// earlier may end in it.
#define TLS_RECORD_BYTES (17 * 1024)
#define TLS_SEALED_BYTES(plain) ((plain)-TLS_RECORD_BYTES)

// Who the daemon is: a certificate and its key. Counted, because connections outlive a reload.
struct tls_identity;
struct tls_identity *tls_identity_create(const struct certificate *c); // NULL: there is no memory
void tls_identity_release(struct tls_identity *identity);              // NULL is fine

enum tls_state {
    TLS_HANDSHAKE, // nothing can be said yet
    TLS_OPEN,
    TLS_ENDED,   // the job says that it sends no more; it still reads
    TLS_NOT_TLS, // the job's first byte begins no TLS; nothing was answered
    TLS_FAILED   // tls_failure() says why; what tls_out() holds tells the job
};

struct tls;

// Whether bytes that begin so are TLS: a handshake record. No message of the protocol begins so.
static inline bool tls_begins_with(char first) {
    return first == 0x16;
}

struct tls *tls_create(struct tls_identity *identity); // NULL: there is no memory
void tls_free(struct tls *t);                          // NULL is fine

// Takes n bytes of the socket, at most TLS_SEALED_BYTES(size), and gives what they say: *plain_n
// bytes, which are good whatever the state then is.
enum tls_state tls_receive(struct tls *t, const char *sealed, size_t n, char *plain, size_t size,
                           size_t *plain_n);
enum tls_state tls_state(const struct tls *t);
bool tls_is_begun(const struct tls *t); // whether anything came
const char *tls_failure(const struct tls *t);

// Seals what waits in *plain and empties it; before the handshake's end it stays. False: failed.
bool tls_send(struct tls *t, struct buf *plain);
// Says that no more will be sent. False when that was said, or cannot be said any more.
bool tls_end(struct tls *t);
// What has to go to the socket; the caller takes it away.
struct buf *tls_out(struct tls *t);

#endif
