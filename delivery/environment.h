// What a program that is started for an alert finds in its environment: the daemon's own, and
// PYROMETER_RULE, _RUN, _LAYER, _SEVERITY, _STATE and _SUMMARY.
#ifndef DELIVERY_ENVIRONMENT_H
#define DELIVERY_ENVIRONMENT_H

struct alert_record;

// Ends with NULL; never NULL itself. For environment_free(), before the daemon's own changes.
char **environment_of(const struct alert_record *a);
void environment_free(char **env);

#endif
