// The certificate and the key of ingest.tls or http.tls: used while the daemon starts, at a reload
// and by --check-config.
#ifndef DAEMON_CERTIFICATE_H
#define DAEMON_CERTIFICATE_H

#include "base/buf.h"
#include "config/config.h"

struct certificate {
    char *cert, *key; // PEM; both NULL where the configuration names none
};

// Reads both files and sees that they are a pair. `section` is the one that names them:
// 'ingest.tls'. -1 with lines 'FILE:LINE: KEY: what is wrong': nothing is left to free.
int certificate_load(struct certificate *out, const struct config *config, const char *section,
                     const struct config_tls *tls, struct buf *error);
void certificate_free(struct certificate *c);

#endif
