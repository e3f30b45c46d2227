// Alerts, fetched and shown the same way by every command that has some.
#ifndef CLI_ALERTS_H
#define CLI_ALERTS_H

#include "cli/tree.h"

struct alert_filter {
    const char *run, *state, *severity; // NULL: any
};

// {"alerts":[...]} with every page of it. NULL after a failure, its reason in answer->error.
cJSON *alerts_get(const struct cli *cli, const struct alert_filter *filter,
                  struct http_answer *answer);

// A table of them on standard output, or "no alerts"; without the run's column when `of_one_run`.
void alerts_print(const struct cli *cli, const cJSON *list, bool of_one_run, int indent);

#endif
