// Where the daemon listens: parsed once, connected to again and again.
#ifndef CLIENTS_C_ADDRESS_H
#define CLIENTS_C_ADDRESS_H

#include <stdbool.h>

struct pyr_address {
    bool local;     // a Unix socket: path, else host and port
    char host[256]; // a name or a numeric address
    char port[6];
    char path[108]; // the size of sun_path
};

// Reads "host:port", "host", "[v6]:port" or "unix:/path". False when it is none of them.
bool pyr_address_parse(struct pyr_address *a, const char *text);

// Tells whether waiting goes on: called whenever `wake_fd` became readable, which it empties.
typedef bool pyr_go_on(void *context);

// Connects, waiting at most some seconds for each address that the name has. Returns a non-blocking
// socket or a negative errno value; *why gets words for what errno cannot say, else NULL. Looking
// up a name may block as long as the system's resolver does.
int pyr_address_connect(const struct pyr_address *a, int wake_fd, pyr_go_on *go_on, void *context,
                        const char **why);

#endif
