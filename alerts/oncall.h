// What someone on call is told of a rule: the texts of docs/alerting.md, "On call", which is where
// they are written.
#ifndef ALERTS_ONCALL_H
#define ALERTS_ONCALL_H

// Plain text, a paragraph each.
struct oncall {
    const char *means, *causes, *remedy;
};

// Of a built-in rule, or of store_trouble. NULL for a rule of the configuration's own.
const struct oncall *oncall_find(const char *rule);

#endif
