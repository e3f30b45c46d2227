// `pyrometer alerts show ID`.
#ifndef CLI_ALERT_SHOW_H
#define CLI_ALERT_SHOW_H

#include "cli/cli.h"

// words[0]: the alert's number. Returns an exit status.
int alert_show(const struct cli *cli, int count, char **words);

#endif
