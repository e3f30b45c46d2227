// The hello that a configuration makes, checked before anything is started.
#ifndef CLIENTS_C_HELLO_H
#define CLIENTS_C_HELLO_H

#include "clients/c/pyrometer.h"
#include "clients/c/text.h"

// NULL when the configuration is good, else what is wrong with it.
const char *pyr_config_fault(const struct pyrometer_config *config);

// Writes the hello as one line. Without `first` a rewind is not repeated. Under the "C" locale.
void pyr_hello_write(struct pyr_text *out, const struct pyrometer_config *config, const char *token,
                     bool first);

#endif
