// `pyrometer rules`: what its subcommands share.
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <stdbool.h>

#include "alerts/rules.h"

// The rules of a configuration file, or with alerts_only of a file whose `alerts` are written like
// a configuration's. NULL when they are not good, which has been said on standard error. The caller
// releases them.
struct ruleset *rules_load(const char *path, bool alerts_only);
// `pyrometer rules test FILE...`; returns an exit status.
int rules_test(int count, char **words);

#endif
