// Any bytes as a line of a job: every reader of lines takes or refuses them, and what a reader
// takes it prints so that it is read again the same.
#include "base/num.h"
#include "wire/hello.h"
#include "wire/init.h"
#include "wire/json.h"
#include "wire/message.h"
#include "wire/outputs.h"
#include "wire/step.h"

#include <stdlib.h>
#include <string.h>

#define BUF_MAX ((size_t)64 << 20)
#define LAYERS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct wire_error *error) {
    struct buf out;
    size_t bad;
    buf_init(&out, BUF_MAX);
    error_print(error, 1, &out);
    CHECK(utf8_valid(out.data, out.len, &bad));
    struct json j;
    json_init(&j, out.data, out.len);
    CHECK(json_skip(&j, NULL) && json_at_end(&j));
    buf_free(&out);
}

static void fuzz_step(const char *line, size_t len, bool is_utf8) {
    struct step s, again;
    struct wire_error error;
    step_init(&s);
    step_init(&again);
    if (step_parse(&s, line, len, LAYERS, &error)) {
        check_error(&error);
    } else if (is_utf8) {
        struct buf first, second;
        buf_init(&first, BUF_MAX);
        buf_init(&second, BUF_MAX);
        step_print(&s, "step", &first);
        CHECK(step_parse(&again, first.data, first.len, LAYERS, &error) == 0);
        step_print(&again, "step", &second);
        CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        buf_free(&first);
        buf_free(&second);
    }
    step_free(&s);
    step_free(&again);
}

static void fuzz_hello(const char *line, size_t len, bool is_valid) {
    struct hello h, again;
    struct wire_error error;
    if (hello_parse(&h, line, len, &error)) {
        check_error(&error);
        return;
    }
    struct init *inits = must_alloc(h.n_layers * sizeof *inits + 1);
    init_read(h.facts, inits, h.n_layers);
    for (size_t i = 0; i < h.n_layers; i++) {
        CHECK(inits[i].n_parts <= INIT_PARTS_MAX && (inits[i].n_parts == 0) == !!inits[i].reason);
    }
    free(inits);
    if (is_valid) {
        CHECK(hello_parse(&again, h.facts, strlen(h.facts), &error) == 0);
        CHECK(strcmp(h.facts, again.facts) == 0 && hello_same_layers(&h, &again));
        CHECK(*again.token == '\0' && !again.rewind);
        hello_free(&again);
    }
    hello_free(&h);
}

static void fuzz_event(const char *line, size_t len, bool is_valid) {
    struct event e, again;
    struct wire_error error;
    if (event_parse(&e, line, len, &error)) {
        check_error(&error);
        return;
    }
    if (is_valid) {
        struct buf out;
        buf_init(&out, BUF_MAX);
        event_print(e.step, e.time, e.name, e.data, &out);
        // Quotes around a NaN can take the data over its limit.
        if (event_parse(&again, out.data, out.len, &error) == 0) {
            CHECK(again.step == e.step && strcmp(again.name, e.name) == 0);
            event_free(&again);
        } else {
            CHECK(e.data && strlen(e.data) > 60000);
        }
        buf_free(&out);
    }
    event_free(&e);
}

static void fuzz_outputs(const char *line, size_t len, bool is_utf8) {
    struct outputs o = {0}, again = {0};
    struct wire_error error;
    if (outputs_parse(&o, line, len, &error)) {
        check_error(&error);
    } else if (is_utf8) {
        struct buf first, second;
        buf_init(&first, BUF_MAX);
        buf_init(&second, BUF_MAX);
        outputs_print(&o, &first);
        CHECK(outputs_parse(&again, first.data, first.len, &error) == 0);
        outputs_print(&again, &second);
        CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        buf_free(&first);
        buf_free(&second);
    }
    outputs_free(&o);
    outputs_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *line = (const char *)data;
    enum message_type type;
    struct wire_error error;
    const char *status;
    size_t bad;
    bool is_utf8 = utf8_valid(line, size, &bad);
    bool is_valid = message_type(line, size, &type, &error) == 0 && type != MESSAGE_STEP;
    if (!is_valid) {
        error.code = WIRE_OK;
    }
    fuzz_step(line, size, is_utf8);
    fuzz_hello(line, size, is_valid);
    fuzz_event(line, size, is_valid);
    fuzz_outputs(line, size, is_utf8);
    if (end_parse(&status, line, size, &error)) {
        check_error(&error);
    }
    return 0;
}
