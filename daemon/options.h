// The command line of pyrometerd.
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "config/config.h"

#include <stdbool.h>

struct options {
    const char *config; // NULL: not given
    const char *data, *ingest, *http;
    bool check_config, version, help, verbose;
};

// False: bad usage, told on standard error.
bool options_parse(int argc, char **argv, struct options *out);
void options_print_help(void);
// The configuration in force: the file's, then the flags'. 0, or -1 with the errors, a line each.
int options_load_config(const struct options *o, struct config *config,
                        struct buf *errors) WARN_UNUSED;

#endif
