// `pyrometer rules`: what its subcommands share.
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "alerts/rules.h"
#include "base/buf.h"
#include "cli/cli.h"

// The rules of a configuration file, or with alerts_only of a file whose `alerts` are written like
// a configuration's. NULL when they are not good, which has been said on standard error and, a line
// a string, in the list `errors` where that is not NULL. The caller releases them.
struct ruleset *rules_load(const char *path, bool alerts_only, cJSON *errors);
// What the reader of a file had to say: to standard error and into the list.
void rules_say(struct buf *messages, cJSON *errors);
// `pyrometer rules test FILE...`; returns an exit status.
int rules_test(const struct cli *cli, int count, char **words);

#endif
