#include "wire/error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    bool fatal;
} codes[WIRE_CODE_COUNT] = {
    [WIRE_OK] = {"ok", false},
    [WIRE_BAD_JSON] = {"bad_json", false},
    [WIRE_TOO_LARGE] = {"too_large", true},
    [WIRE_UNKNOWN_TYPE] = {"unknown_type", false},
    [WIRE_NO_HELLO] = {"no_hello", true},
    [WIRE_BAD_HELLO] = {"bad_hello", true},
    [WIRE_LAYERS_DIFFER] = {"layers_differ", true},
    [WIRE_WRONG_SHAPE] = {"wrong_shape", false},
    [WIRE_BAD_VALUE] = {"bad_value", false},
    [WIRE_STEP_ORDER] = {"step_order", false},
    [WIRE_UNAUTHORIZED] = {"unauthorized", true},
    [WIRE_UNSUPPORTED_PROTOCOL] = {"unsupported_protocol", true},
    [WIRE_OVERLOADED] = {"overloaded", true},
    [WIRE_SHUTTING_DOWN] = {"shutting_down", true},
};

const char *wire_code_name(enum wire_code code) {
    return codes[code].name;
}

bool wire_code_is_fatal(enum wire_code code) {
    return codes[code].fatal;
}

int wire_fail(struct wire_error *error, enum wire_code code, const char *format, ...) {
    error->code = code;
    error->fatal = codes[code].fatal;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return -1;
}

int wire_no_memory(struct wire_error *error) {
    return wire_fail(error, WIRE_OVERLOADED,
                     "the daemon has no memory for this message; the connection closes, connect "
                     "again and send what is not acknowledged");
}
