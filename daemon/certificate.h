// The certificate and the key of http.tls. Used while the daemon starts and by --check-config.
#ifndef DAEMON_CERTIFICATE_H
#define DAEMON_CERTIFICATE_H

#include "base/buf.h"
#include "config/config.h"

// Reads both files and sees that they are a pair. *cert and *key are the caller's to free(), NULL
// where the configuration names none. -1 with the reason: nothing is left to free.
int certificate_load(const struct config *config, char **cert, char **key, struct buf *error);

#endif
