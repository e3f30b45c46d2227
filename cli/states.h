// A run's states and what it began with, for `pyrometer show`.
#ifndef CLI_STATES_H
#define CLI_STATES_H

#include "cli/tree.h"

// Asks for /api/v1/runs/{run}/states and prints it; a failure is printed in its place, since all
// else can still be shown.
void states_show(const struct cli *cli, const char *run);

#endif
