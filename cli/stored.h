// A store on this machine's disk, for the commands that look at its files and not at a daemon.
#ifndef CLI_STORED_H
#define CLI_STORED_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/cli.h"

// The database's file: in the directory that is named, that file itself, or in the directory that a
// daemon takes on its own (NULL). Returns CLI_OK, or CLI_FAILED and has said that there is none.
int stored_path(const char *named, struct buf *path);

// Verifies it, showing how far it is on a terminal, and says what is damaged: a line each on
// standard output, or as JSON into *answer, which is the caller's (NULL after a failure).
// CLI_FAILED where something is, or where it cannot be read, which has been said.
int stored_check(const struct cli *cli, const char *path, cJSON **answer);

// The answer as one line on standard output.
void stored_print(const cJSON *answer);

// "copied 31%", as the line of cli/progress.h. `total` 0: it is not known yet.
void stored_progress(const char *what, int64_t done, int64_t total);

#endif
