// A run's layers as heat engines and its energy balance sheet, for `pyrometer show`.
#ifndef CLI_ENGINES_H
#define CLI_ENGINES_H

#include "cli/tree.h"

// GET /api/v1/runs/{run}/engine; NULL after a failure, its reason in answer->error.
cJSON *engines_get(const struct cli *cli, const char *run, struct http_answer *answer);
void engines_print(const struct cli *cli, const cJSON *engine);

#endif
