// Forgetting a run, for `delete` and `bench`.
#ifndef CLI_DELETE_H
#define CLI_DELETE_H

#include "cli/cli.h"

// Returns an exit status; it has been said why it failed.
int delete_run(const struct cli *cli, const char *run);

#endif
