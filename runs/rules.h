// The configuration's alerts.rules turned into the rules in force. No I/O.
#ifndef RUNS_RULES_H
#define RUNS_RULES_H

#include "alerts/rules.h"
#include "base/buf.h"
#include "base/check.h"
#include "config/config.h"

// The names of the built-in rules, for config_load(). Returns `names`.
const char *const *rules_names(const char *names[RULE_COUNT + 1]);
// NULL with a line of *error for each mistake, as config_load() writes them. The caller releases
// the ruleset.
struct ruleset *rules_from_config(const struct config *config, struct buf *error) WARN_UNUSED;

#endif
