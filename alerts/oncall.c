#include "alerts/oncall.h"

#include "alerts/rules.h"

// Written by scripts/oncall.py: a row a built-in rule, { "name", { "means", "causes", "remedy" } }.
#include "alerts/oncall_texts.h"

#include <string.h>

#define OF_THE_DAEMON 1 // store_trouble, which is no rule
_Static_assert(sizeof texts / sizeof *texts == RULE_COUNT + OF_THE_DAEMON,
               "docs/alerting.md, On call, has an entry for each built-in rule and no other");

const struct oncall *oncall_find(const char *rule) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(texts[i].rule, rule) == 0) {
            return &texts[i].oncall;
        }
    }
    return NULL;
}
