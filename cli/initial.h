// How an initialisation is written on the command line:
//     normal:MEAN,STD | uniform:LOW,HIGH | constant:VALUE
//     mixed:SHARE*PART+SHARE*PART...   every parameter is drawn from the mixture of the parts
//     blocks:COUNT*PART+COUNT*PART...  the first COUNT parameters from the first part, and so on
#ifndef CLI_INITIAL_H
#define CLI_INITIAL_H

#include <stdbool.h>

#include "probes/reference_init.h"

enum { INITIAL_ERROR_MAX = 256 };

// False with what was expected and where in error.
bool initial_parse(struct reference_init *init, const char *text, char error[INITIAL_ERROR_MAX]);

#endif
