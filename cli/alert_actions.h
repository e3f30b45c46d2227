// `pyrometer alerts ACTION ...`: what people do about alerts.
#ifndef CLI_ALERT_ACTIONS_H
#define CLI_ALERT_ACTIONS_H

#include "cli/cli.h"

// The words behind `alerts`; at least one. Returns an exit status.
int alert_action(const struct cli *cli, int count, char **words);

#endif
