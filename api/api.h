// The HTTP side of the daemon: a libmicrohttpd thread that never waits, and workers that read the
// store for it.
#ifndef API_API_H
#define API_API_H

#include "api/board.h"
#include "base/buf.h"
#include "base/check.h"
#include "storage/outbox.h"

struct api;

enum api_command_type {
    API_DELETE_RUN,
    API_ACKNOWLEDGE_ALERT,
    API_PUT_SILENCE,
    API_END_SILENCE,
    API_TEST_ALERTS
};

struct api_command {
    enum api_command_type type;
    const char *run;                      // API_DELETE_RUN
    int64_t alert;                        // API_ACKNOWLEDGE_ALERT
    const struct silence_record *silence; // API_PUT_SILENCE
    // API_PUT_SILENCE: its id, set by the loop. API_END_SILENCE: which one. API_TEST_ALERTS: the
    // number of receivers, set by the loop.
    int64_t *id;
};

struct api_config {
    const char *listen; // HOST:PORT; port 0 takes any free one
    const char *token;  // NULL: none is wanted
    char **origins;     // of pages that may use the API, "*": all
    size_t n_origins;
    const char *tls_cert_pem, *tls_key_pem; // contents, both or neither
    unsigned max_connections;
    uint64_t max_points; // of a request for series
    const char *data;    // the store's directory
    struct board *board;
    // Asks the loop to do something and waits for its answer (called on a worker). 0 done,
    // 1 no such thing, -1 failed with a message.
    int (*command)(void *context, const struct api_command *command, char message[256]);
    // A new session of the line protocol: this end of its socket, or -1 with a message. Does not
    // wait.
    int (*open_session)(void *context, char message[256]);
    void *context;
};

// 0, or -1 with a message. The port is bound and answers when this returns.
int api_start(struct api **out, const struct api_config *config, struct buf *error) WARN_UNUSED;
// HOST:PORT that it really listens on.
const char *api_address(const struct api *a);
// Another token from now on; NULL: none is wanted. Copied.
void api_set_token(struct api *a, const char *token);
// Grows whenever the threads here do something, at the latest when asked: for the watchdog. One
// thread asks.
uint64_t api_heartbeat(struct api *a);
// Ends streams and open answers, joins the threads.
void api_stop(struct api *a);

#endif
