// A connection to the daemon's ingest port: bytes queued here go out and lines come in whenever it
// is pumped, both ways at once, so that neither side can wait for the other for ever.
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct link;

// A line of the daemon, NUL-terminated, without its newline.
typedef void (*link_line)(void *context, const char *line);

// To "HOST:PORT", "[V6]:PORT", either with "tls://" before it, or "unix:PATH". NULL with the reason when there is no connection.
struct link *link_open(const char *address, link_line take, void *context, char *reason,
                       size_t reason_size);
void link_close(struct link *link);

void link_queue(struct link *link, const char *bytes, size_t n);
// Bytes queued and not yet sent.
size_t link_pending(const struct link *link);
// Waits at most timeout_ms for anything to happen and deals with it. False once the connection is
// gone, when everything that came has been taken; link_error() then says why ("" when the daemon
// just closed it).
WARN_UNUSED bool link_pump(struct link *link, int timeout_ms);
// The same with several at once, those that are NULL or gone left out; waits for any of them.
void link_pump_all(struct link *const *links, size_t n, uint64_t timeout_ns);
bool link_is_open(const struct link *link);
const char *link_error(const struct link *link);
// No more will be sent: the daemon sees the end of the stream.
void link_finish_sending(struct link *link);

#endif
