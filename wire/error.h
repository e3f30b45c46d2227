// What the daemon tells a job that sent something it cannot take (docs/protocol.md lists them all).
#ifndef WIRE_ERROR_H
#define WIRE_ERROR_H

#include <stdbool.h>

enum wire_code {
    WIRE_OK,
    WIRE_BAD_JSON,
    WIRE_TOO_LARGE,
    WIRE_UNKNOWN_TYPE,
    WIRE_NO_HELLO,
    WIRE_BAD_HELLO,
    WIRE_LAYERS_DIFFER,
    WIRE_WRONG_SHAPE,
    WIRE_BAD_VALUE,
    WIRE_STEP_ORDER,
    WIRE_UNAUTHORIZED,
    WIRE_UNSUPPORTED_PROTOCOL,
    WIRE_OVERLOADED,
    WIRE_SHUTTING_DOWN,
    WIRE_CODE_COUNT
};

struct wire_error {
    enum wire_code code;
    bool fatal;
    char message[320]; // what was wrong, where, and what was expected
};

// "bad_json" and so on.
const char *wire_code_name(enum wire_code code);
// A fatal error closes the connection; after any other only the offending message is dropped.
bool wire_code_is_fatal(enum wire_code code);

// There is no memory for the message: overloaded, and fatal, so that the job comes again with what
// is not acknowledged. Returns -1.
int wire_no_memory(struct wire_error *error);
// Fills the error and returns -1, for `return wire_fail(...)`.
int wire_fail(struct wire_error *error, enum wire_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
