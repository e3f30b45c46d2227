// Uploads of the line protocol: each is a session of the loop's like any job's connection, at the
// other end of a socket pair. The HTTP thread writes what is uploaded; the relay's own thread reads
// what the session replies and resumes the HTTP connections that wait, for room in the socket or
// for the session's end.
#ifndef API_RELAY_H
#define API_RELAY_H

#include "base/buf.h"
#include "base/check.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define RELAY_ERRORS_SHOWN 100

struct relay;
struct upload;

// What a session has said, complete once it has ended.
struct upload_outcome {
    char run[160];            // JSON text with its quotes; empty before the welcome
    int64_t last_step, acked; // of the welcome; of the newest ack; -1 for none
    struct buf errors;        // the first RELAY_ERRORS_SHOWN as JSON objects, separated by commas
    uint64_t n_errors;
    char fatal_code[32],
        *fatal; // the code and the message of the error that ended it; empty, NULL: none did
};

// NULL, with a message, when there is no thread for it.
struct relay *relay_start(struct buf *error);
// Resumes all that wait; their sessions have not ended. Nothing is taken from now on.
void relay_stop(struct relay *r);
void relay_destroy(struct relay *r); // no upload may be left; NULL is fine

// HTTP thread. Takes over the session's end of the socket. NULL when the relay is stopping.
struct upload *relay_open(struct relay *r, int fd, struct MHD_Connection *connection);
void relay_close(struct relay *r, struct upload *u); // NULL is fine; also before the session's end
// Gives bytes to the session and returns how many it took. Fewer: the connection is suspended until
// more fit. When the session takes nothing any more all are thrown away.
size_t relay_send(struct relay *r, struct upload *u, const char *bytes, size_t n);
// Nothing more will come: the outcome, or NULL and the connection is suspended until there is one.
const struct upload_outcome *relay_finish(struct relay *r, struct upload *u);

#endif
